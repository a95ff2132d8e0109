/**
 * User triggers on rows that a restore writes. One that stamps `updated_at` would alter the very values that are being put
 * back, so by default they rest while the restore runs: by ALTER TABLE inside the same transaction, undone before it commits.
 * Constraint triggers, PostgreSQL's own, and Holdfast's are never touched.
 */
import { type Client, ident, qualified } from '../sql.ts';
import type { StagedTable } from './stage.ts';

export interface SuspendedTrigger {
  readonly table: string;
  readonly trigger: string;
}

interface Found extends SuspendedTrigger {
  /** `O` origin, `A` always, `R` replica: put back as it was. */
  readonly enabled: string;
  readonly sql: string;
}

const RESTORE: Readonly<Record<string, string>> = { O: 'enable', A: 'enable always', R: 'enable replica' };

/** Row and statement triggers that would fire on these tables, partitions included; up to PostgreSQL 14 theirs count as internal. */
export async function findTriggers(client: Client, tables: readonly StagedTable[]): Promise<Found[]> {
  const { rows } = await client.query(
    `with recursive tree as (
       select unnest($1::oid[]) as oid
       union select i.inhrelid from tree join pg_inherits i on i.inhparent = tree.oid)
     select n.nspname as schema, c.relname, t.tgname as trigger, t.tgenabled as enabled
       from tree join pg_trigger t on t.tgrelid = tree.oid
       join pg_class c on c.oid = t.tgrelid join pg_namespace n on n.oid = c.relnamespace
       join pg_proc p on p.oid = t.tgfoid join pg_namespace pn on pn.oid = p.pronamespace
      where (not t.tgisinternal or t.tgparentid <> 0) and t.tgconstraint = 0 and t.tgenabled <> 'D' and pn.nspname <> 'holdfast'
      order by 1, 2, 3`,
    [tables.map((t) => t.target.bound.oid)],
  );
  return rows.map((r) => ({
    table: `${r.schema}.${r.relname}`,
    trigger: r.trigger as string,
    enabled: r.enabled as string,
    sql: qualified(r.schema as string, r.relname as string),
  }));
}

/**
 * Suspends them for this transaction and returns what puts them back. Takes SHARE ROW EXCLUSIVE on each table. One ALTER TABLE
 * a table, and nothing else in it: whatever watches schema changes then sees that none happened. ONLY, because a trigger that
 * somebody switched off in one partition has to stay off there.
 */
export async function suspend(client: Client, found: readonly Found[]): Promise<() => Promise<void>> {
  const tables = [...Map.groupBy(found, (t) => t.sql)];
  const alter = async (action: (t: Found) => string) => {
    for (const [sql, triggers] of tables) {
      await client.query(
        `alter table only ${sql} ${triggers.map((t) => `${action(t)} trigger ${ident(t.trigger)}`).join(', ')}`,
      );
    }
  };
  await alter(() => 'disable');
  return () => alter((t) => RESTORE[t.enabled]!);
}
