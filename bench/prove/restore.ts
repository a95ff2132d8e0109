/** Undo against a model in memory: what is asked for at random is done exactly, or not at all. */
import type { HoldfastError } from '../../core/errors.ts';
import type { UndoPlan } from '../../core/restore/undo/types.ts';
import { applyUndo, previewUndo } from '../../core/restore/undo/undo.ts';
import { type World, world } from '../../test/undo/world.ts';
import { type Expected, expectation } from './restore/expect.ts';
import { faultMatrix } from './restore/faults.ts';
import { type Asked, ask } from './restore/requests.ts';
import { compare, type Row, readState, recordOf, type State, tableOf } from './restore/state.ts';
import { History } from './restore/worker.ts';
import { type ProveFailure, Random, type Suite } from './suite.ts';

const PER_DATABASE = 25;

type Facts = Record<string, number>;

const suite: Suite = {
  name: 'restore',
  description:
    'random undo requests on random histories against a model in memory; and every kind of constraint in the way',
  quickCases: 75,
  async run({ cases, seed, serverUrl, log }) {
    const failures: ProveFailure[] = [];
    const facts: Facts = {
      applied: 0,
      refused: 0,
      'rows undone': 0,
      'conflicts met': 0,
      'others included': 0,
      'undone again': 0,
      'later edits watched': 0,
      'later edits lost': 0,
    };
    for (let done = 0; done < cases; done += PER_DATABASE) {
      const count = Math.min(PER_DATABASE, cases - done);
      const found = await round(serverUrl, new Random(seed + done), count, facts);
      for (const f of found) failures.push({ seed, case: done + f.at, message: f.message });
      log(`${done + count} cases, ${facts.applied} applied, ${facts.refused} refused, ${failures.length} failures`);
    }
    const matrix = await faultMatrix(serverUrl);
    for (const message of matrix.failures) failures.push({ seed, case: 0, message: `faults: ${message}` });
    return { cases, failures, facts: { ...facts, 'faults tried': matrix.tried } };
  },
};
export default suite;

async function round(serverUrl: string, random: Random, count: number, facts: Facts) {
  const failures: { at: number; message: string }[] = [];
  const w = await world(serverUrl);
  try {
    const history = new History(w, random);
    await history.begin();
    for (let at = 0; at < count; at += 1) {
      for (let n = 2 + random.int(8); n > 0 || history.steps.length === 0; n -= 1) await history.work();
      const asked = ask(history, random);
      const problems = await tryOne(w, history, asked, random, facts);
      for (const problem of problems) {
        failures.push({ at, message: `${problem} in ${JSON.stringify(asked.request)}` });
      }
      history.state = await readState(w.client);
    }
  } finally {
    await w.drop();
  }
  return failures;
}

async function tryOne(w: World, history: History, asked: Asked, random: Random, facts: Facts): Promise<string[]> {
  const problems: string[] = [];
  const before = history.state;
  const expected = expectation(history, asked);
  facts['conflicts met']! += expected.conflicts.length;
  let plan: UndoPlan;
  try {
    plan = await previewUndo(w.ctx, asked.request);
  } catch (error) {
    if (expected.throws === (error as HoldfastError).code) return [];
    return [`preview threw ${String(error)} ${JSON.stringify((error as HoldfastError).details ?? {})}`];
  }
  if (expected.throws) return [`preview did not throw ${expected.throws}`];
  problems.push(...same('the preview changed the database', before, await readState(w.client)));
  problems.push(...compareConflicts(plan, expected));
  const refusal = plan.violations[0]?.code;
  if ((refusal !== undefined) !== (expected.refused !== null)) {
    problems.push(
      `preview says ${refusal ?? 'possible'} (${plan.violations[0]?.message}), model says ${expected.refused ?? 'possible'}`,
    );
  }
  // Some apply without a preview's fingerprint, as a script would.
  const blind = random.chance(0.2);
  try {
    const result = await applyUndo(w.ctx, {
      ...asked.request,
      ...(blind ? { policy: asked.request.policy ?? 'refuse' } : { fingerprint: plan.fingerprint }),
      actor: { userId: 'undo', sessionId: 'undo' },
    });
    facts.applied! += 1;
    facts['rows undone']! += result.rows.length;
    facts['others included']! += result.rows.filter((r) => r.included).length;
    const after = await readState(w.client);
    if (expected.refused !== null) problems.push(`applied what should be refused: ${expected.refused}`);
    problems.push(...same('not what the model says', expected.state, after));
    problems.push(...same('not what the preview said', preview(before, plan), after));
    problems.push(...lost(history, asked, before, after, facts));
    if (result.xid === null) return problems;
    await history.note(result.xid, 'undo', 'undo');
    if (random.chance(0.6)) problems.push(...(await undoAgain(w, history, result.xid, before, facts)));
  } catch (error) {
    const { code, message } = error as HoldfastError;
    facts.refused! += 1;
    const unseen = blind && code === 'HF_UNDO_OTHERS';
    if (expected.refused === null && !unseen) {
      problems.push(`refused: ${code} ${message} ${JSON.stringify((error as HoldfastError).details ?? {})}`);
    }
    if (!code?.startsWith('HF_')) problems.push(`an error without a code: ${String(error)}`);
    problems.push(...same('a refused undo changed the database', before, await readState(w.client)));
  }
  return problems;
}

/** The undo of the undo gives exactly what was there before it. */
async function undoAgain(w: World, history: History, xid: string, before: State, facts: Facts): Promise<string[]> {
  try {
    const scope = { kind: 'transactions', transactions: [xid] } as const;
    const result = await applyUndo(w.ctx, { tenant: 'a', scope, actor: { userId: 'undo', sessionId: 'undo' } });
    facts['undone again']! += 1;
    const problems = same('the undo of the undo is not exact', before, await readState(w.client));
    if (result.xid) await history.note(result.xid, 'undo', 'undo');
    return problems;
  } catch (error) {
    return [`the undo could not be undone: ${String(error)} ${JSON.stringify((error as HoldfastError).details ?? {})}`];
  }
}

const same = (what: string, wanted: State, got: State): string[] => {
  const diffs = compare(wanted, got);
  return diffs.length === 0 ? [] : [`${what}: ${JSON.stringify(diffs.slice(0, 3))}`];
};

/** The state that a plan's rows lead to. */
function preview(state: State, plan: UndoPlan): State {
  const next = new Map<string, Row>(state);
  for (const row of plan.rows) {
    const table = row.table.replace('public.', '');
    const key = row.record.startsWith('[') ? (JSON.parse(row.record) as string[]).join(',') : row.record;
    const name = `${table}|${key}`;
    if (row.action === 'delete') next.delete(name);
    else next.set(name, { ...next.get(name), ...(row.after as Row) });
  }
  return next;
}

function compareConflicts(plan: UndoPlan, expected: Expected): string[] {
  const named = (table: string, record: string, column: string | null) => `${table} ${record} ${column ?? '*'}`;
  const got = plan.conflicts
    .filter((c) => c.kind === 'edited' || c.kind === 'deleted' || c.kind === 'recreated')
    .map((c) => named(c.table.replace('public.', ''), c.record, c.column ?? null))
    .sort();
  const wanted = expected.conflicts.map((c) => named(tableOf(c.name), recordOf(c.name), c.column)).sort();
  return JSON.stringify(got) === JSON.stringify(wanted)
    ? []
    : [`conflicts are ${JSON.stringify(got)}, should be ${JSON.stringify(wanted)}`];
}

/**
 * Said once more without the model: where the last to write a field was somebody else, and nobody chose to take it back, the
 * field is what it was. A value that is the undone change's own again counts as that.
 */
function lost(history: History, asked: Asked, before: State, after: State, facts: Facts): string[] {
  if (!asked.mine || asked.request.policy === 'force' || asked.request.include || asked.request.choices) return [];
  const problems: string[] = [];
  for (const [name, row] of before) {
    for (const [column, value] of Object.entries(row)) {
      const writes = history.steps.flatMap((step) => {
        const diff = step.diffs.find((d) => d.name === name && d.after && d.after[column] !== d.before?.[column]);
        return diff ? [{ mine: asked.mine!(step, name), value: diff.after![column] }] : [];
      });
      // The last step is the undo itself where it wrote; it is not in the history yet.
      if (writes.length === 0 || writes.at(-1)!.mine || writes.some((w) => w.mine && w.value === value)) continue;
      facts['later edits watched']! += 1;
      if (after.get(name)?.[column] === value) continue;
      facts['later edits lost']! += 1;
      problems.push(`a later edit was lost: ${name} ${column}`);
    }
  }
  return problems;
}
