/** Restores that one person asks for and another approves. */
import type { HoldfastError } from '../../errors.ts';
import type { Counts } from '../statement.ts';
import type { TransferRequest } from '../transfer/types.ts';
import type { UndoRequest } from '../undo/types.ts';

/** ISO 8601 time, restore point, or backup id. */
export type RestoreTo = { readonly time: string } | { readonly point: string } | { readonly backup: string };

/** Whole tenant to a moment; see `restoreTenant`. */
export interface TenantRestoreArguments {
  readonly tenant: string;
  readonly to: RestoreTo;
  readonly source?: 'auto' | 'live' | 'store';
  readonly userTriggers?: 'suspend' | 'fire';
  readonly droppedColumns?: 'refuse' | 'ignore';
}

/** See `transferTenant`. `to` absent: as of now. */
export interface TransferArguments
  extends Pick<
    TransferRequest,
    'from' | 'into' | 'tables' | 'except' | 'textKeyPrefix' | 'userTriggers' | 'asSystemAdministrator'
  > {
  readonly to?: RestoreTo;
}

/** See `applyUndo`. */
export type UndoArguments = Omit<UndoRequest, 'actor'>;

export type RequestedRestore =
  | { readonly kind: 'tenant'; readonly request: TenantRestoreArguments }
  | { readonly kind: 'undo'; readonly request: UndoArguments }
  | { readonly kind: 'transfer'; readonly request: TransferArguments };

export type RequestState =
  | 'requested'
  | 'approved'
  | 'rejected'
  | 'expired'
  | 'running'
  | 'applied'
  | 'undone'
  | 'failed';

export type Violation = Pick<HoldfastError, 'code' | 'message' | 'action' | 'details'>;

/** What every preview has; the rest of a plan is that of its kind. */
export interface StoredPlan {
  readonly fingerprint: string;
  readonly tables: Readonly<Record<string, Counts>>;
  readonly totals: Counts;
  /** Rows, samples and conflicts are there until the request has ended. */
  readonly [part: string]: unknown;
}

/** One row of `holdfast.restore_requests`; times are ISO 8601. */
export interface RestoreRequest {
  readonly id: string;
  readonly kind: RequestedRestore['kind'];
  readonly tenant: string;
  readonly sourceTenant: string | null;
  readonly request: RequestedRestore['request'];
  readonly reason: string;
  readonly maintenance: boolean;
  readonly plan: StoredPlan;
  readonly fingerprint: string;
  readonly state: RequestState;
  readonly requestedBy: string;
  readonly requestedAt: string;
  readonly expiresAt: string;
  readonly decidedBy: string | null;
  readonly decidedAt: string | null;
  readonly decision: string | null;
  readonly appliedBy: string | null;
  readonly startedAt: string | null;
  readonly finishedAt: string | null;
  readonly restorePoint: string | null;
  readonly xid: string | null;
  readonly error: Partial<Violation> | null;
  readonly undoneBy: string | null;
  readonly undoneAt: string | null;
  readonly undoReason: string | null;
  readonly undoXid: string | null;
}
