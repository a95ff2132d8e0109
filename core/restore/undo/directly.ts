/** The short way: what is small and plain is written by one statement, and read back from the trail. */
import pg from 'pg';
import { isPassing } from '../../retry.ts';
import { batch } from '../batch.ts';
import type { TargetTable } from '../target.ts';
import { findTriggers, type SuspendedTrigger, suspend } from '../triggers.ts';
import { checkPlan, violationsOf } from './checks.ts';
import { deletesAreSafe, directStatement } from './direct.ts';
import type { RecordNet } from './nets.ts';
import { readBackSql, wroteExactly } from './readBack.ts';
import type { Run, Written } from './run.ts';
import { checkStamps, compareStamps, stampSql } from './stamps.ts';

/** undefined: it is not as plain as it looked, and nothing of it is left. */
export async function directly(run: Run, nets: readonly RecordNet[]): Promise<Written | undefined> {
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
    compareStamps(facts.stamps, stamps!.rows, targets.length);
    const triggers = active ? await rest(run, targets) : AWAKE;
    const [, counts, , , read] = active ? await batch(client, write) : results;
    await triggers.resume();
    if (!missed(counts!.rows[0]) && wroteExactly(read!.rows[0].logged, nets, facts.targets)) {
      return { offers: [], violations: violationsOf(run), suspended: triggers.suspended };
    }
  } catch (error) {
    if (!(error instanceof pg.DatabaseError) || isPassing(error) || isFenced(error)) throw error;
    await client.query('rollback to savepoint holdfast_direct');
    // A column that is gone: the schema is not what was known of it.
    await checkStamps(
      client,
      facts.stamps,
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

/** What the guard in Holdfast's own triggers refuses. No other way of writing would get past it. */
const isFenced = (error: pg.DatabaseError): boolean => /^HF\d+$/.test(error.code ?? '');

/** Integrity constraints, what a type refuses, what a trigger raises: the staged way looks closer. */
const isRefusal = (error: pg.DatabaseError): boolean => /^(23|22|P0001)/.test(error.code ?? '');
