/**
 * Carries out what is staged: ordinary statements in the caller's transaction, constraints and audit triggers on. Whoever
 * stages decides what should be (a tenant at T, one record, a field); from here on all restores are the same.
 */
import type { Client } from '../sql.ts';
import { explain, type PgError, refuseForeign, refuseStranded, swallowed } from './conflicts.ts';
import { orderDeletes } from './dependents.ts';
import { classify, foreignRows, type Scope } from './diff.ts';
import { components } from './order.ts';
import type { Stage, StagedTable } from './stage.ts';
import { type Counts, deleteStatement, type StepKind, type TableWork, writeStatement } from './statement.ts';
import { resolveUniqueClash } from './swaps.ts';
import { findTriggers, type SuspendedTrigger, suspend } from './triggers.ts';
import { verify } from './verify.ts';

export interface ApplyOptions extends Scope {
  /** `suspend` rests user triggers on the touched tables; `fire` lets them run, and the final check may then refuse. */
  readonly userTriggers: 'suspend' | 'fire';
}

export interface Applied {
  readonly tables: Readonly<Record<string, Counts>>;
  readonly suspended: readonly SuspendedTrigger[];
}

/**
 * Marks every staged row with what has to be done, and settles the order of deletes. Returns the tables where there is
 * something to do.
 * @throws RestoreError HF_RESTORE_FOREIGN, HF_RESTORE_CONFLICT
 */
export async function prepare(client: Client, stage: Stage, scope: Scope): Promise<TableWork[]> {
  await stage.complete();
  const busy: StagedTable[] = [];
  for (const staged of stage.tables) {
    if (!(await classify(client, staged, scope))) continue;
    busy.push(staged);
    const foreign = await foreignRows(client, staged, scope);
    if (foreign.length > 0) throw refuseForeign(staged, foreign, scope.tenant);
  }
  const stranded = await orderDeletes(client, busy);
  if (stranded.length > 0) throw refuseStranded(stranded);
  return worksOf(client, busy);
}

/**
 * Writes, then checks. The caller's transaction is REPEATABLE READ and is the caller's to commit or, for a preview, to roll
 * back; any error leaves it aborted.
 * @throws RestoreError HF_RESTORE_CONFLICT, HF_RESTORE_FOREIGN, HF_RESTORE_DIFFERS
 */
export async function apply(client: Client, works: readonly TableWork[], options: ApplyOptions): Promise<Applied> {
  const tables = works.map((w) => w.staged);
  await client.query("select set_config('holdfast.guard_tenant', $1, true)", [options.tenant]);
  const found = options.userTriggers === 'suspend' ? await findTriggers(client, tables) : [];
  const resume = await suspend(client, found);
  try {
    // The application's triggers, checks and defaults may lean on its own search path; Holdfast's statements lean on none.
    await client.query('set local search_path to default');
    await client.query('set constraints all deferred');
    for (const group of childrenFirst(works)) await run(client, group, deleteStatement(group, options));
    await write(client, works, options);
    await client.query('set constraints all immediate');
  } catch (error) {
    throw explain(error);
  }
  await client.query("select set_config('search_path', 'pg_catalog', true)");
  await resume();
  await verify(client, tables, options);
  return {
    tables: Object.fromEntries(works.map((w) => [w.staged.target.bound.name, countsOf(w)])),
    suspended: found.map(({ table, trigger }) => ({ table, trigger })),
  };
}

export const countsOf = (work: TableWork): Counts => ({
  inserted: work.inserts,
  updated: work.updates + work.replaces,
  deleted: work.deletes + work.lateDeletes,
});

async function write(client: Client, works: readonly TableWork[], scope: Scope): Promise<void> {
  const seen = new Set<string>();
  for (let now = works; ; ) {
    await client.query('savepoint holdfast_write');
    try {
      await run(client, now, writeStatement(now, scope));
      return;
    } catch (error) {
      await client.query('rollback to savepoint holdfast_write');
      const tables = now.map((w) => w.staged);
      if (!(await resolveUniqueClash(client, tables, error as PgError, seen))) throw error;
      now = await worksOf(client, tables);
    }
  }
}

/** Runs a statement of steps and compares how many rows each wrote with how many it should have. */
async function run(client: Client, works: readonly TableWork[], sql: string | undefined): Promise<void> {
  if (!sql) return;
  const { rows } = await client.query(sql);
  for (const [name, got] of Object.entries(rows[0] as Record<string, number>)) {
    const work = works.find((w) => w.staged.target.bound.id === Number(name.slice(1)))!;
    const kind = name[0] as StepKind;
    if (got !== expected(work, kind)) throw swallowed(work.staged, kind, expected(work, kind), got);
  }
}

function expected(work: TableWork, kind: StepKind): number {
  const { deletes, lateDeletes, replaces, updates, inserts } = work;
  return { d: deletes, r: lateDeletes + replaces, u: updates, i: inserts + replaces }[kind];
}

function childrenFirst(works: readonly TableWork[]): TableWork[][] {
  const byName = new Map(works.map((w) => [w.staged.target.bound.name, w]));
  const parents = (w: TableWork) =>
    w.staged.target.bound.foreignKeys.map((k) => byName.get(k.parent)).filter((p) => p !== undefined);
  return components(works, parents).reverse();
}

async function worksOf(client: Client, tables: readonly StagedTable[]): Promise<TableWork[]> {
  const works: TableWork[] = [];
  for (const staged of tables) works.push(await workOf(client, staged));
  return works;
}

async function workOf(client: Client, staged: StagedTable): Promise<TableWork> {
  const { target, sql } = staged;
  const { rows } = await client.query(
    `select count(*) filter (where _hf_do = 'I')::int as inserts, count(*) filter (where _hf_do = 'U')::int as updates,
            count(*) filter (where _hf_do = 'R')::int as replaces,
            count(*) filter (where _hf_do = 'D' and not _hf_late)::int as deletes,
            count(*) filter (where _hf_do = 'D' and _hf_late)::int as "lateDeletes",
            (select coalesce(array_agg(distinct n), '{}') from ${sql}, unnest(_hf_changed) n where _hf_do = 'U') as changed
       from ${sql}`,
  );
  const { changed, ...counts } = rows[0];
  const columns = target.columns.filter((c) => (changed as number[]).includes(c.attnum)).map((c) => c.name);
  return { staged, ...counts, columns };
}
