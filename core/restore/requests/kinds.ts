/** The restores that can be requested: how each is previewed and applied. A new kind is a new entry here. */
import type { Context } from '../../context.ts';
import type { Actor } from '../../history/actor.ts';
import { parseMoment } from '../../moment.ts';
import type { Client } from '../../sql.ts';
import type { Target } from '../plan.ts';
import { restoreTenant } from '../tenant.ts';
import { transferTenant } from '../transfer/transfer.ts';
import { applyUndo, previewUndo } from '../undo/undo.ts';
import type { RequestedRestore, RestoreTo, StoredPlan, Violation } from './types.ts';

/** One run of an approved request. */
export interface Run {
  readonly fingerprint: string;
  readonly actor: Actor;
  readonly beforeCommit: (client: Client, xid: string | null) => Promise<void>;
}

export interface Done {
  readonly restorePoint: string | null;
  readonly xid: string | null;
}

interface Kind<Arguments> {
  /** Whose rows are written, and whose are copied. */
  tenants(request: Arguments): { readonly tenant: string; readonly source: string | null };
  preview(ctx: Context, request: Arguments): Promise<StoredPlan & { readonly violations: readonly Violation[] }>;
  apply(ctx: Context, request: Arguments, run: Run): Promise<Done>;
}

type Of<K extends RequestedRestore['kind']> = Extract<RequestedRestore, { kind: K }>['request'];

const KINDS: { readonly [K in RequestedRestore['kind']]: Kind<Of<K>> } = {
  tenant: {
    tenants: ({ tenant }) => ({ tenant, source: null }),
    preview: (ctx, { to, ...request }) => restoreTenant(ctx, { ...request, ...target(to), preview: true }).then(plain),
    apply: (ctx, { to, ...request }, run) => restoreTenant(ctx, { ...request, ...target(to), ...run }),
  },
  undo: {
    tenants: ({ tenant }) => ({ tenant, source: null }),
    preview: (ctx, request) => previewUndo(ctx, request).then(plain),
    apply: (ctx, request, run) => applyUndo(ctx, { ...request, ...run }),
  },
  transfer: {
    tenants: ({ from, into }) => ({ tenant: into, source: from }),
    preview: (ctx, { to, ...request }) => transferTenant(ctx, { ...request, ...target(to), preview: true }).then(plain),
    apply: (ctx, { to, ...request }, run) => transferTenant(ctx, { ...request, ...target(to), ...run }),
  },
};

export const kindOf = ({ kind }: RequestedRestore): Kind<unknown> => KINDS[kind] as Kind<unknown>;

function target(to: RestoreTo | undefined): Pick<Target, 'moment' | 'restorePoint' | 'backup'> {
  if (!to) return {};
  if ('time' in to) return { moment: parseMoment(to.time) };
  return 'point' in to ? { restorePoint: to.point } : { backup: to.backup };
}

/** Results are typed as what they are; stored, they are JSON with the parts that every kind has. */
const plain = <T extends { readonly violations: readonly Violation[] }>(plan: T) =>
  JSON.parse(JSON.stringify(plan)) as StoredPlan & { readonly violations: readonly Violation[] };
