/** Workflows whose steps are killed, lost, doubled, late, given up and shuffled, at every state: the outcome is the same. */
import { fork } from 'node:child_process';
import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import type pg from 'pg';
import { bind } from '../../core/datamap/bind.ts';
import { install } from '../../core/history/install.ts';
import type { Execution } from '../../core/ports.ts';
import { connect } from '../../core/sql.ts';
import { readDefinition, visit } from '../../functions/definition.ts';
import { createSample } from '../../sample/create.ts';
import { sampleMap } from '../../sample/map.ts';
import { createDatabase, type TestDatabase } from '../../test/support/database.ts';
import { type ProveFailure, type ProveOptions, type ProveResult, Random, type Suite } from './suite.ts';
import { type Place, SCENARIOS, type Scenario } from './workflow/cases.ts';
import { disturb, FAULTS, type Fault } from './workflow/faults.ts';
import type { Job } from './workflow/worker.ts';
import { openEngine, openTaskContext } from './workflow/world.ts';

type Strike = Fault | 'kill';

const suite: Suite = {
  name: 'workflow',
  description: 'kill -9, loss, duplicates, lateness, time-outs and another order of the steps of every workflow',
  quickCases: 16,
  run,
};
export default suite;

interface Case {
  readonly scenario: Scenario;
  readonly state: string;
  readonly strike: Strike;
}

/** Every task of every definition with everything that can happen to it. Failures' own states have a test of their own. */
function allCases(): Case[] {
  const own = new Set(['RecordFailure', 'NotifyFailure', 'NotifyLate', 'NotApplied', 'NotifyAttention', 'ExpireMore']);
  return SCENARIOS.flatMap((scenario) =>
    [...visit(readDefinition(scenario.workflow))]
      .filter(({ name, state }) => state.Type === 'Task' && !own.has(name) && !name.endsWith('Instance'))
      .flatMap(({ name: state }) =>
        // The database service of the snapshots lives in this process.
        [...FAULTS, ...(scenario.workflow === 'snapshot' ? [] : (['kill'] as const))].map((strike) => ({
          scenario,
          state,
          strike,
        })),
      ),
  );
}

async function run({ cases, seed, serverUrl, log }: ProveOptions): Promise<ProveResult> {
  const root = await mkdtemp(join(tmpdir(), 'holdfast-workflow-'));
  const database = await createDatabase({ serverUrl, prefix: 'workflow' });
  const failures: ProveFailure[] = [];
  const facts = { killed: 0, struck: 0, 'kinds of case': 0 };
  try {
    const client = await connect(database.url, 'holdfast-prove');
    await createSample(client, { tenants: 4, usersPerTenant: 3 });
    await install(client, await bind(client, sampleMap()));
    const all = shuffled(allCases(), new Random(seed));
    facts['kinds of case'] = all.length;
    for (let number = 0; number < cases; number++) {
      const one = all[number % all.length]!;
      const name = `${one.scenario.workflow} (${one.scenario.name}), ${one.strike} at ${one.state}`;
      try {
        const lab = { root, database, client, serverUrl };
        const seen = await attempt(lab, one, number, new Random(seed * 1_000_003 + number));
        facts.killed += seen.killed ? 1 : 0;
        facts.struck += seen.struck ? 1 : 0;
      } catch (error) {
        failures.push({ seed, case: number, message: `${name}: ${(error as Error).message}` });
        log(`case ${number}, ${name}: ${(error as Error).stack}`);
      }
      if (number % 8 === 7) log(`${number + 1} of ${cases}`);
    }
    await client.end();
  } finally {
    await database.drop();
    await rm(root, { recursive: true, force: true });
  }
  return { cases, failures, facts };
}

function shuffled<T>(items: T[], random: Random): T[] {
  for (let at = items.length - 1; at > 0; at--) {
    const other = random.int(at + 1);
    [items[at], items[other]] = [items[other]!, items[at]!];
  }
  return items;
}

interface Lab {
  readonly root: string;
  readonly database: TestDatabase;
  readonly client: pg.Client;
  readonly serverUrl: string;
}

async function attempt(lab: Lab, { scenario, state, strike }: Case, number: number, random: Random) {
  // Another store: the catalog must not remember the last one.
  for (const table of ['tenant_backups', 'tenant_backup_logs']) {
    await lab.client.query(`delete from holdfast.${table}`);
  }
  const directory = join(lab.root, `case-${number}`);
  const databaseUrl = lab.database.url;
  const ctx = await openTaskContext(directory, databaseUrl, scenario.workflow);
  const place: Place = {
    id: `case-${number}-${random.int(1e9)}`,
    directory,
    databaseUrl,
    serverUrl: lab.serverUrl,
    client: lab.client,
    ctx,
  };
  try {
    const { input, check } = await scenario.prepare(place);
    const seen =
      strike === 'kill'
        ? await killed(place, scenario, input, state, random)
        : await disturbed(place, scenario, input, state, strike, random);
    await check(seen.ended);
    return seen;
  } finally {
    await rm(directory, { recursive: true, force: true });
  }
}

type Input = Readonly<Record<string, unknown>>;
type Seen = { readonly ended: Execution; readonly killed: boolean; readonly struck: boolean };

async function disturbed(
  { id, directory, ctx }: Place,
  { workflow }: Scenario,
  input: Input,
  state: string,
  fault: Fault,
  random: Random,
): Promise<Seen> {
  const { around, afterwards, struck } = disturb(fault, state, random);
  const engine = await openEngine(directory, ctx, around);
  const ended = await engine.ended(await engine.start(workflow, input, { id }));
  await afterwards();
  await engine.close();
  return { ended, killed: false, struck: struck() };
}

/** The process dies at that state; another one opens the same folder and goes on. */
async function killed(
  { id, directory, databaseUrl }: Place,
  { workflow }: Scenario,
  input: Input,
  state: string,
  random: Random,
): Promise<Seen> {
  const job: Job = { directory, databaseUrl, workflow, input, id };
  const when = random.pick(['before', 'after', 1 + random.int(150)] as const);
  const first = await inProcess({ ...job, strike: { state, when } });
  const ended = first ?? (await inProcess(job));
  if (!ended) throw new Error('the second process ended without a word');
  return { ended, killed: first === undefined, struck: first === undefined };
}

/** undefined: it was killed. */
function inProcess(job: Job): Promise<Execution | undefined> {
  const child = fork(new URL('workflow/worker.ts', import.meta.url), { stdio: ['ignore', 'ignore', 'inherit', 'ipc'] });
  return new Promise((resolve, reject) => {
    let ended: Execution | undefined;
    child.on('message', (message) => {
      ended = message as Execution;
    });
    child.on('error', reject);
    child.on('exit', () => resolve(ended));
    child.send(job);
  });
}
