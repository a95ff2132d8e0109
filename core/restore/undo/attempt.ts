/** One try at an undo, in one REPEATABLE READ transaction: read, merge, write, check; then commit, or for a preview roll back. */
import { type Client, literal } from '../../sql.ts';
import { batch } from '../batch.ts';
import { actAsTenant } from '../rowSecurity.ts';
import { tenantBusy, tenantLockSql } from '../tenantLock.ts';
import { checkPlan, checkRequest, violationsOf } from './checks.ts';
import { Decisions } from './decide.ts';
import { directly } from './directly.ts';
import { keep, NOTHING } from './kept.ts';
import type { RecordNet } from './nets.ts';
import { planNets } from './planNets.ts';
import { Planned } from './planned.ts';
import { type MarkedChange, type Raw, readSql, streamMarked } from './read.ts';
import { resultOf, subjectOf } from './result.ts';
import type { Attempt, Run, Written } from './run.ts';
import { throughStage } from './throughStage.ts';
import type { UndoResult } from './types.ts';

/** What is written without staging tables, at most. */
const DIRECT_ROWS = 5000;
const DIRECT_BYTES = 8 << 20;

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
  const nets = planNets(run, changes);
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

async function* chain(first: readonly RecordNet[], rest: AsyncGenerator<RecordNet>): AsyncGenerator<RecordNet> {
  yield* first;
  yield* rest;
}

function sizeOf(net: RecordNet): number {
  let size = net.record.length;
  for (const values of [net.action === 'insert' ? {} : net.before, net.action === 'delete' ? {} : net.after]) {
    for (const value of Object.values(values)) size += value === null ? 4 : value.length;
  }
  return size;
}
