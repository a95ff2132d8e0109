import { DatabaseError } from '../errors.ts';
import { formatMoment, type Moment } from '../moment.ts';
import { type Client, ident } from '../sql.ts';
import { underLock } from './lock.ts';
import { atSql } from './moments.ts';
import type { SealKeys } from './seal/log.ts';
import { notePruning } from './seal/pruneNote.ts';
import type { Snapshot } from './types.ts';
import { visibleSql } from './visibleSql.ts';

export interface PruneReport {
  /** Months that were dropped, as partition names. */
  readonly dropped: readonly string[];
  /** Months that could have gone by their age but hold changes that are in no backup yet, or in no seal. */
  readonly kept: readonly string[];
  /** History in the database now begins here; null: nothing was dropped. */
  readonly begins: string | null;
}

export interface PruneOptions {
  readonly before: Moment;
  readonly archivedTo: Snapshot;
  /** The backup that `archivedTo` is of. */
  readonly archivedBy?: string;
  readonly seals?: SealKeys;
}

/**
 * Drops whole months that ended by `before`, each only when `archivedTo` (the `log.to` of a complete backup) sees every change
 * in it. Dropping is instant. From then on moments before the new beginning are refused, and backups serve them.
 * `seals` signs what goes, so that `holdfast audit verify` knows; without it a trail that is sealed is not pruned. `preview` does
 * it and rolls it back.
 * @throws DatabaseError HF_LOCK_TIMEOUT, HF_HISTORY_EMPTY, HF_PRUNE_UNSIGNED
 */
export async function prune(
  client: Client,
  options: PruneOptions & { readonly preview?: boolean },
): Promise<PruneReport> {
  try {
    return await underLock(client, 5_000, async () => {
      // First of all locks: a run of sealing holds it while it reads the partitions.
      await client.query("select pg_advisory_xact_lock(hashtextextended('holdfast.seal', 0))");
      const report = await dropMonths(client, options);
      if (options.preview) throw new Previewed(report);
      return report;
    });
  } catch (error) {
    if (error instanceof Previewed) return error.report;
    throw error;
  }
}

/** Carries the report of a preview past the roll-back. */
class Previewed extends Error {
  readonly report: PruneReport;
  constructor(report: PruneReport) {
    super('previewed');
    this.report = report;
  }
}

async function dropMonths(client: Client, options: PruneOptions): Promise<PruneReport> {
  // The same lock as advance(): no horizon may be added while the old ones go.
  await client.query("select pg_advisory_xact_lock(hashtextextended('holdfast.advance', 0))");
  const { rows } = await client.query(
    `select c.relname::text as name from pg_inherits i join pg_class c on c.oid = i.inhrelid
      where i.inhparent = 'holdfast.trail'::regclass and c.relname ~ '^trail_\\d{4}_\\d{2}$'
        and (to_date(substr(c.relname, 7), 'YYYY_MM') + interval '1 month') at time zone 'UTC' <= $1
      order by c.relname`,
    [formatMoment(options.before)],
  );
  const archived: string[] = [];
  const kept: string[] = [];
  for (const { name } of rows as { name: string }[]) {
    await client.query(`lock table holdfast.${ident(name)} in access exclusive mode`);
    const { rows: found } = await client.query(
      `select coalesce(bool_and(${visibleSql('xid', options.archivedTo)}), true) as yes from holdfast.${ident(name)}`,
    );
    // Months go in order: history must not have holes.
    (found[0].yes && kept.length === 0 ? archived : kept).push(name);
  }
  const { seals, archivedBy } = options;
  if (!seals) await requireUnsealed(client);
  const dropped = seals ? await notePruning(client, seals, archived, archivedBy ?? null) : archived;
  kept.unshift(...archived.slice(dropped.length));
  let newest = 0n;
  for (const name of dropped) {
    const table = `holdfast.${ident(name)}`;
    const { rows: last } = await client.query(`select coalesce(max(xid), 0)::text as xid from ${table}`);
    newest = BigInt(last[0].xid) > newest ? BigInt(last[0].xid) : newest;
    await client.query(`alter table holdfast.trail detach partition ${table}`);
    await client.query(`drop table ${table}`);
  }
  return { dropped, kept, begins: dropped.length > 0 ? await begin(client, newest) : null };
}

/** What goes from a sealed trail without a signed note looks like what somebody has removed. */
async function requireUnsealed(client: Client): Promise<void> {
  const { rows } = await client.query('select exists (select from holdfast.seal_entries) as yes');
  if (!rows[0].yes) return;
  throw new DatabaseError(
    'HF_PRUNE_UNSIGNED',
    'The trail is sealed, so pruning it must be signed, and no key was given.',
    {
      action: 'Nothing was dropped. Run "holdfast prune" where the key file and the store are.',
    },
  );
}

/** Removes the horizons that do not see everything that was dropped, and returns the first that is left. */
async function begin(client: Client, newest: bigint): Promise<string> {
  await client.query(
    `delete from holdfast.horizons h
      where not exists (select from holdfast.horizons last where last.id > h.id) is not true
        and pg_snapshot_xmin(h.snapshot)::text::bigint <= $1`,
    [newest.toString()],
  );
  const { rows } = await client.query(`select ${atSql('min(moment)')} as begins from holdfast.horizons`);
  const begins = rows[0].begins as string | null;
  if (begins) return begins;
  throw new DatabaseError('HF_HISTORY_EMPTY', 'No horizon sees all that would be dropped.', {
    action: 'Run holdfast maintain, then prune again; nothing was changed.',
  });
}
