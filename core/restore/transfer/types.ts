/** A tenant's rows copied into another tenant: what is asked, and what comes of it. Plain data. */
import type { HoldfastError } from '../../errors.ts';
import type { Actor } from '../../history/actor.ts';
import type { Client } from '../../sql.ts';
import type { Target } from '../plan.ts';
import type { Counts } from '../statement.ts';
import type { SuspendedTrigger } from '../triggers.ts';

/** Without a moment, a restore point or a backup, the rows are copied as they are now. */
export interface TransferRequest extends Omit<Target, 'tenant'> {
  /** Whose rows are copied. It need not exist any more when a backup is named. */
  readonly from: string;
  /** Who gets them; a row of the tenant table must be there. */
  readonly into: string;
  /** Only these tables, as the data map names them. @default all of the tenant's, but the tenant table itself */
  readonly tables?: readonly string[];
  /** All but these. */
  readonly except?: readonly string[];
  /** Put in front of text keys that nothing else makes unique; without it such a table is refused. */
  readonly textKeyPrefix?: string;
  /** Says that a system administrator asks. The database checks it: see `requireAdministrator`. */
  readonly asSystemAdministrator: boolean;
  /** Do everything and roll it back. @default false */
  readonly preview?: boolean;
  /** Of a preview: refuse when what would be copied is no longer the same. */
  readonly fingerprint?: string;
  /** @default 'suspend' */
  readonly userTriggers?: 'suspend' | 'fire';
  /** @default the database user, by name */
  readonly actor?: Actor;
  /** Pairs of old and new record shown per table. @default 3 */
  readonly samples?: number;
  /** Runs in the same transaction, just before it commits. Not for a preview. */
  readonly beforeCommit?: (client: Client, xid: string | null) => Promise<void>;
}

/** How the new value of a key column is made. */
export type KeySource = 'sequence' | 'default' | 'uuid' | 'number' | 'prefix';

export interface NewKey {
  readonly table: string;
  readonly column: string;
  readonly how: KeySource;
}

/** References that point at rows which are not copied. */
export interface LostReference {
  readonly table: string;
  readonly columns: readonly string[];
  readonly parent: string;
  /** Foreign key; null where only the data map says that it is a reference. */
  readonly constraint: string | null;
  readonly rows: number;
  /** Old record ids of some of the rows. */
  readonly records: readonly string[];
}

/** A unique key or exclusion constraint that copied rows would break. */
export interface TransferConflict {
  readonly table: string;
  readonly constraint: string;
  readonly columns: readonly string[];
  readonly rows: number;
  /** Of some of the rows: the record in the tenant that is copied, and which tenant holds the value. Personal values are not shown. */
  readonly samples: readonly { readonly record: string; readonly value: string | null; readonly heldBy: string }[];
}

export interface TransferResult {
  readonly from: string;
  readonly into: string;
  /** null: as of now. */
  readonly moment: string | null;
  readonly source: 'now' | 'live' | 'store';
  readonly backups: readonly string[];
  readonly preview: boolean;
  readonly tables: Readonly<Record<string, Counts>>;
  readonly totals: Counts;
  readonly newKeys: readonly NewKey[];
  /** Old and new record ids of some rows. In a preview the new ones are examples: sequences and random keys move on. */
  readonly mapping: readonly { readonly table: string; readonly from: string; readonly into: string }[];
  /** Persons whose data stands in both tenants afterwards. */
  readonly persons: number;
  /** References to rows that are not copied, and were set to null. */
  readonly cleared: readonly LostReference[];
  /** Columns that may hold ids which no foreign key declares; their contents are copied as they are. */
  readonly untouched: readonly string[];
  readonly conflicts: readonly TransferConflict[];
  readonly violations: readonly Pick<HoldfastError, 'code' | 'message' | 'action' | 'details'>[];
  readonly suspended: readonly SuspendedTrigger[];
  /** Tables that the backups read had left out. */
  readonly excluded: readonly string[];
  readonly fingerprint: string;
  /** Of the tenant that was copied into. null for a preview, and when nothing was copied. */
  readonly restorePoint: string | null;
  readonly xid: string | null;
}
