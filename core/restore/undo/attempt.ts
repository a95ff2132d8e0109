/** One try at an undo, in one REPEATABLE READ transaction: read, merge, write, check; then commit, or for a preview roll back. */
import pg from 'pg';
import { RestoreError } from '../../errors.ts';
import { requireKnown } from '../../history/redacted.ts';
import { formatMoment } from '../../moment.ts';
import { type Client, literal } from '../../sql.ts';
import { apply, countsOf } from '../apply.ts';
import { batch } from '../batch.ts';
import { explain } from '../conflicts.ts';
import type { Scope } from '../diff.ts';
import { actAsTenant } from '../rowSecurity.ts';
import type { Counts } from '../statement.ts';
import type { TargetTable } from '../target.ts';
import { tenantBusy, tenantLockSql } from '../tenantLock.ts';
import { findTriggers, type SuspendedTrigger, suspend } from '../triggers.ts';
import { Decisions } from './decide.ts';
import { type Desk, type Facts, stampSql } from './desk.ts';
import { deletesAreSafe, directStatement } from './direct.ts';
import { requireRecords } from './found.ts';
import { mergeAll, missingTable, nameless, type RecordNet, writable } from './nets.ts';
import { Planned } from './planned.ts';
import { joinMoves, type MarkedChange, type Raw, readSql, streamMarked } from './read.ts';
import { readBackSql, wroteExactly } from './readBack.ts';
import { keep, NOTHING } from './result.ts';
import type { Selection } from './scope.ts';
import { stageUndo } from './staged.ts';
import type { ApplyRequest, Offer, UndoPlan, UndoResult, Violation } from './types.ts';

/** What is written without staging tables, at most. */
const DIRECT_ROWS = 5000;
const DIRECT_BYTES = 8 << 20;

/** The schema changed under what was known of it; the caller reads it again and tries once more. */
export class SchemaMoved extends Error {}

export interface Attempt {
  readonly desk: Desk;
  readonly facts: Facts;
  readonly request: ApplyRequest;
  readonly selection: Selection;
  readonly preview: boolean;
}

interface Run extends Attempt {
  readonly client: Client;
  readonly scope: Scope;
  readonly planned: Planned;
  readonly decisions: Decisions;
  /** Of records that were named: those that have changed. */
  readonly seen: Set<string>;
}

interface Written {
  readonly offers: readonly Offer[];
  readonly violations: readonly Violation[];
  readonly suspended: readonly SuspendedTrigger[];
}

export async function attemptUndo(attempt: Attempt): Promise<UndoResult> {
  const { request, facts } = attempt;
  const { client } = attempt.desk;
  const decisions = new Decisions(request, facts);
  const planned = new Planned(facts, request.limit ?? 200, subjectOf(attempt));
  const scope = { bound: facts.bound, tenant: request.tenant };
  const run: Run = { ...attempt, client, scope, planned, decisions, seen: new Set() };
  try {
    const first = await enter(client, attempt);
    if (facts.guarded.length > 0) await actAsTenant(client, facts.guarded, request.tenant);
    const written = await carryOut(run, streamMarked(client, first));
    const result = resultOf(run, written);
    if (attempt.preview) {
      await client.query('rollback');
      return result;
    }
    if (planned.rowCount > 0 && !request.beforeCommit)
      return Object.freeze({ ...result, ...(await keep(client, result, 'commit')) });
    const kept = planned.rowCount > 0 ? await keep(client, result) : NOTHING;
    await request.beforeCommit?.(client, kept.xid);
    await client.query('commit');
    return Object.freeze({ ...result, ...kept });
  } catch (error) {
    await client.query('rollback').catch(() => {}); // the first error is the one to report
    throw error;
  }
}

/**
 * Begins, and reads the first changes, in one message: that is most of what bringing back one field takes. Only what applies
 * takes the lock; a preview waits for nobody.
 */
async function enter(client: Client, { request, selection, preview }: Attempt): Promise<readonly Raw[]> {
  const quote = (value: string | undefined) => (value === undefined ? 'null' : literal(value));
  const { userId, email, sessionId, ip, userAgent } = request.actor ?? {
    userAgent: `holdfast undo of ${request.scope.kind}`,
  };
  const results = await batch(client, [
    'begin isolation level repeatable read',
    "set local lock_timeout = '10s'",
    `select ${preview ? 'true' : tenantLockSql(quote(request.tenant))} as free,
            holdfast.set_actor(${quote(userId)}, ${quote(email)}, ${quote(sessionId)}, ${quote(ip)}, ${quote(userAgent)}),
            set_config('holdfast.guard_tenant', ${quote(request.tenant)}, true)`,
    ...readSql(request.tenant, selection),
  ]);
  if (!results[2]!.rows[0].free) throw tenantBusy(request.tenant);
  return results.at(-1)!.rows as Raw[];
}

/** Reads and merges; what is small and plain is written directly, the rest through staging tables. */
async function carryOut(run: Run, changes: AsyncIterable<MarkedChange>): Promise<Written> {
  const nets = plan(run, changes);
  const first: RecordNet[] = [];
  let bytes = 0;
  let ended = false;
  while (first.length < DIRECT_ROWS && bytes < DIRECT_BYTES) {
    const { value, done } = await nets.next();
    if (done) {
      ended = true;
      break;
    }
    first.push(value);
    bytes += sizeOf(value);
  }
  if (ended) {
    await checkRequest(run);
    if (first.length === 0) {
      checkPlan(run, []);
      return { offers: [], violations: violationsOf(run), suspended: [] };
    }
    const done = await directly(run, first);
    if (done) return done;
  }
  return throughStage(run, chain(first, nets));
}

/** What was asked must make sense of what was found, before anything is written. */
async function checkRequest(run: Run): Promise<void> {
  run.decisions.checkUsed();
  await requireRecords(run.client, run.selection, run.seen, run.facts, run.scope);
}

async function* plan(run: Run, changes: AsyncIterable<MarkedChange>): AsyncGenerator<RecordNet> {
  const { facts, request, selection, planned, decisions } = run;
  const checked = new Set<number>();
  const carried = onlyWritable(facts.crossing.carry(checkTables(changes, facts)), facts);
  const merged = mergeAll(joinMoves(carried), {
    ...(selection.columns ? { columns: selection.columns } : {}),
    decide: (table, record, conflict) => decisions.decide(table, record, conflict),
    undone: (change) => {
      planned.undone(change);
      if (selection.named) run.seen.add(change.record!);
      if (checked.has(change.table)) return;
      checked.add(change.table);
      facts.crossing.checkSince(change.table, change.seq, request.droppedColumns ?? 'refuse');
    },
  });
  for await (const net of merged) {
    if (net.action !== 'delete') requireKnown(net.after, facts.targets.get(net.table)!.bound.name, net.record);
    planned.add(net);
    yield net;
  }
}

async function* onlyWritable(changes: AsyncIterable<MarkedChange>, facts: Facts): AsyncGenerator<MarkedChange> {
  const columns = new Map([...facts.targets].map(([id, t]) => [id, new Set(t.columns.map((c) => c.name))]));
  for await (const change of changes) yield writable(change, columns.get(change.table)!);
}

/** Before anything else looks at a change: its table must be one that can be written. */
async function* checkTables(changes: AsyncIterable<MarkedChange>, facts: Facts): AsyncGenerator<MarkedChange> {
  for await (const change of changes) {
    const target = facts.targets.get(change.table);
    if (change.record === null) throw nameless(change, target?.bound.name);
    if (!target) throw missingTable(change.table);
    yield change;
  }
}

async function* chain(first: readonly RecordNet[], rest: AsyncGenerator<RecordNet>): AsyncGenerator<RecordNet> {
  yield* first;
  yield* rest;
}

/** undefined: it is not as plain as it looked, and nothing of it is left. */
async function directly(run: Run, nets: readonly RecordNet[]): Promise<Written | undefined> {
  const { client, facts, scope, request } = run;
  const targets = [...new Set(nets.map((net) => net.table))].map((id) => facts.targets.get(id)!);
  const plain = nets.every((net) => {
    const target = facts.targets.get(net.table)!;
    if (net.action === 'delete') return deletesAreSafe(target);
    return net.action === 'update' || target.columns.every((c) => Object.hasOwn(net.after, c.name));
  });
  if (!plain) return undefined;
  // What was previewed may have left records out or taken some along; the staged way finds out, or that something has moved.
  if (!run.preview && request.fingerprint !== undefined && request.fingerprint !== run.planned.fingerprint())
    return undefined;
  checkPlan(run, []);
  const before = ['savepoint holdfast_direct', stampSql(targets.map((t) => t.bound.id))];
  const { sql, missed } = directStatement(nets, facts.targets, scope);
  // The application's triggers, checks and defaults may lean on its own search path; the statements here lean on none.
  const write = [
    'set local search_path to default',
    sql,
    'set constraints all immediate',
    'set local search_path to pg_catalog',
    readBackSql(request.tenant),
  ];
  const active = targets.some((t) => t.bound.userTriggers.length > 0 || t.bound.partitioned);
  try {
    // In one message where nothing has to rest; if the schema has moved, that is found out afterwards, and nothing is kept.
    const [, stamps, ...results] = await batch(client, active ? before : [...before, ...write]);
    compareStamps(facts, stamps!.rows, targets.length);
    const triggers = active ? await rest(run, targets) : AWAKE;
    const [, counts, , , read] = active ? await batch(client, write) : results;
    await triggers.resume();
    if (!missed(counts!.rows[0]) && wroteExactly(read!.rows[0].logged, nets, facts.targets)) {
      return { offers: [], violations: violationsOf(run), suspended: triggers.suspended };
    }
  } catch (error) {
    if (!(error instanceof pg.DatabaseError) || RETRYABLE.test(error.code ?? '')) throw error;
    await client.query('rollback to savepoint holdfast_direct');
    // A column that is gone: the schema is not what was known of it.
    await checkStamps(
      run,
      targets.map((t) => t.bound.id),
    );
    if (!isRefusal(error)) throw error;
    return undefined;
  }
  await client.query('rollback to savepoint holdfast_direct');
  return undefined;
}

interface Resting {
  readonly suspended: readonly SuspendedTrigger[];
  readonly resume: () => Promise<void>;
}

const AWAKE: Resting = { suspended: [], resume: async () => {} };

/** User triggers rest, unless they are to fire. */
async function rest({ client, request }: Run, targets: readonly TargetTable[]): Promise<Resting> {
  if (request.userTriggers === 'fire') return AWAKE;
  const found = await findTriggers(
    client,
    targets.map((target) => ({ target, sql: '' })),
  );
  return {
    suspended: found.map(({ table, trigger }) => ({ table, trigger })),
    resume: await suspend(client, found),
  };
}

/** Serialization failures, deadlocks, lock time-outs: the whole attempt is made again. And what the fence refuses. */
const RETRYABLE = /^(40001|40P01|55P03|HF\d+)$/;

/** Integrity constraints, what a type refuses, what a trigger raises: the staged way looks closer. */
const isRefusal = (error: unknown): boolean => /^(23|22|P0001)/.test((error as { code?: string }).code ?? '');

async function throughStage(run: Run, nets: AsyncIterable<RecordNet>): Promise<Written> {
  const { client, scope, request } = run;
  await client.query('set local enable_hashjoin to default; set local enable_mergejoin to default');
  await checkStamps(run, [...run.facts.targets.keys()]);
  const { works, offers, violations } = await stageUndo(client, nets, run);
  await checkRequest(run);
  checkPlan(run, violations);
  const all = [...violationsOf(run), ...violations];
  if (violations.length > 0) return { offers, violations: all, suspended: [] };
  checkCounts(
    run,
    works.map((w) => [w.staged.target.bound.name, countsOf(w)]),
  );
  const options = { ...scope, userTriggers: request.userTriggers ?? 'suspend' } as const;
  if (!run.preview) return { offers, violations: all, suspended: (await apply(client, works, options)).suspended };
  const suspended = await findTriggers(
    client,
    works.map((w) => w.staged),
  );
  const refused = await apply(client, works, options).then(() => [], asViolation);
  return {
    offers,
    violations: [...all, ...refused],
    suspended: request.userTriggers === 'fire' ? [] : suspended.map(({ table, trigger }) => ({ table, trigger })),
  };
}

function asViolation(error: unknown): Violation[] {
  const known = explain(error);
  if (!(known instanceof RestoreError)) throw error;
  const { code, message, action, details } = known;
  return [{ code, message, action, details }];
}

async function checkStamps({ client, facts }: Run, ids: readonly number[]): Promise<void> {
  if (ids.length === 0) return;
  compareStamps(facts, (await client.query(stampSql(ids))).rows, ids.length);
}

function compareStamps(facts: Facts, rows: readonly { id: number; stamp: string }[], count: number): void {
  if (rows.length !== count || rows.some((r) => facts.stamps.get(r.id) !== r.stamp)) throw new SchemaMoved();
}

/** What is staged against what was planned from the trail: a difference means that the trail does not tell all. */
function checkCounts(run: Run, counts: readonly (readonly [string, Counts])[]): void {
  const text = (tables: Record<string, Counts>) =>
    JSON.stringify(Object.entries(tables).sort(([a], [b]) => (a < b ? -1 : 1)));
  const staged = Object.fromEntries(counts.filter(([, c]) => c.inserted + c.updated + c.deleted > 0));
  if (text(staged) === text(run.planned.tables)) return;
  throw new RestoreError('HF_RESTORE_DIFFERS', 'The rows that are there are not those that the trail tells of.', {
    action: 'Run "holdfast doctor": changes were made past the triggers. Restore from a backup instead.',
    details: { trail: run.planned.tables, live: staged },
  });
}

/** @throws RestoreError HF_PLAN_STALE, HF_UNDO_CONFLICT, HF_UNDO_OTHERS, HF_UNDO_NEEDS, before anything is written */
function checkPlan(run: Run, violations: readonly Violation[]): void {
  if (run.preview) return;
  const { fingerprint } = run.request;
  const mark = run.planned.fingerprint();
  if (fingerprint !== undefined && fingerprint !== mark) {
    throw new RestoreError('HF_PLAN_STALE', 'What the undo would do is no longer what was previewed.', {
      action: 'Preview again, look at what changed, and pass the new fingerprint.',
      details: { expected: fingerprint, got: mark },
    });
  }
  const first = [...violationsOf(run), ...othersUnseen(run), ...violations][0];
  if (first) throw new RestoreError(first.code, first.message, { action: first.action, details: first.details });
}

function violationsOf(run: Run): Violation[] {
  const { undecided, listed } = run.decisions;
  if (undecided === 0) return [];
  const open = listed.filter((c) => c.take === null).slice(0, 20);
  const one = open[0]!;
  const where = `${one.table} ${one.record}${one.column ? `, ${one.column}` : ''}`;
  return [
    {
      code: 'HF_UNDO_CONFLICT',
      message: `${undecided} later ${undecided === 1 ? 'edit stands' : 'edits stand'} in the way, such as that of ${where} by ${one.by[0]?.userId ?? 'someone unnamed'}.`,
      action:
        'Preview it, then pass the policy skip (they stay) or force (they are taken back), or choose for each field.',
      details: { conflicts: open, count: undecided },
    },
  ];
}

/**
 * Going back to a moment takes back what everybody did since. Where that is more than one person's work, it must have been seen: in
 * a preview whose fingerprint is passed, or by saying force.
 */
function othersUnseen(run: Run): Violation[] {
  const { request, planned, selection } = run;
  if (selection.others || request.policy === 'force' || request.fingerprint !== undefined || planned.people < 2)
    return [];
  return [
    {
      code: 'HF_UNDO_OTHERS',
      message: `Changes of ${planned.people} people since then would be taken back.`,
      action: 'Preview it, see whose they are, and pass the fingerprint; or pass the policy force.',
      details: { authors: planned.authors },
    },
  ];
}

const subjectOf = ({ request, selection }: Attempt) => [
  request.tenant,
  {
    ...request.scope,
    ...('transactions' in request.scope ? { transactions: request.scope.transactions.map(String) } : {}),
  },
  selection.cut ? formatMoment(selection.cut.moment) : null,
  request.userTriggers ?? 'suspend',
];

function resultOf(run: Run, written: Written): UndoResult {
  const { request, selection, planned, decisions } = run;
  const plan: UndoPlan = {
    tenant: request.tenant,
    scope: subjectOf(run)[1] as UndoPlan['scope'],
    moment: selection.cut ? formatMoment(selection.cut.moment) : null,
    policy: request.policy ?? 'refuse',
    fingerprint: planned.fingerprint(),
    tables: planned.tables,
    totals: planned.totals,
    rows: planned.rows,
    rowsNotShown: planned.rowCount - planned.rows.length,
    conflicts: decisions.listed,
    conflictCount: decisions.count,
    stamped: decisions.stamped,
    offers: written.offers,
    violations: written.violations,
    authors: planned.authors,
    suspended: written.suspended,
  };
  return Object.freeze({ ...plan, ...NOTHING });
}

function sizeOf(net: RecordNet): number {
  let size = net.record.length;
  for (const values of [net.action === 'insert' ? {} : net.before, net.action === 'delete' ? {} : net.after]) {
    for (const value of Object.values(values)) size += value === null ? 4 : value.length;
  }
  return size;
}
