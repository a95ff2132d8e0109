/**
 * Carries out what is staged: ordinary statements in the caller's transaction, constraints and audit triggers on. Whoever
 * stages decides what should be (a tenant at T, one record, a field); from here on all restores are the same.
 */
import type { Client } from '../sql.ts';
import { batch } from './batch.ts';
import { explain, type PgError, refuseForeign, refuseStranded, swallowed } from './conflicts.ts';
import { orderDeletes } from './dependents.ts';
import { classify, foreignRows, type Scope, worksOf } from './diff.ts';
import { components } from './order.ts';
import type { Stage } from './stage.ts';
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
  const staged = await stage.complete();
  await classify(client, staged, scope);
  const works = await worksOf(client, staged);
  const busy = works.map((w) => w.staged);
  const foreign = await foreignRows(client, busy, scope);
  if (foreign) throw refuseForeign(foreign.staged, foreign.records, scope.tenant);
  if (works.every((w) => w.deletes === 0)) return works;
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
    await batch(client, ['set local search_path to default', 'set constraints all deferred']);
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
