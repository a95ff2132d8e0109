/**
 * Copies of a store, killed at random while they are made and made of a source with faults of every kind. Whenever one looks at it, a
 * copy holds no byte that is not the source's own, and each backup that it lists is there with all that it needs; run to the end on
 * a sound source, it is the same store.
 */
import { fork } from 'node:child_process';
import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { DirectoryStore } from '../../adapters/local/directoryStore.ts';
import { type ReplicationReport, replicate } from '../../core/locations/replicate.ts';
import { faults, type Injected } from './corruption/inject.ts';
import { makeWorld, type World } from './corruption/world.ts';
import { filesOf, wrongWith } from './locations/oracle.ts';
import type { Job } from './locations/worker.ts';
import { type ProveFailure, type ProveOptions, type ProveResult, Random, type Suite } from './suite.ts';

/** A new store after this many cases. */
const PER_WORLD = 60;
/** Writes of one undisturbed copy: marker, three keys, thirteen objects, four manifests. */
const WRITES = 21;
/** Faults after which a copy has nothing to say: the source does not show that anything is missing. */
const SILENT = ['object that nobody wrote', 'manifest deleted'];

const suite: Suite = {
  name: 'locations',
  description: 'kill -9 of replication at any write, two at once, faults of every kind in the source',
  quickCases: 40,
  run,
};
export default suite;

async function run({ cases, seed, log }: ProveOptions): Promise<ProveResult> {
  const failures: ProveFailure[] = [];
  const facts = { kills: 0, faults: 0, 'backups withheld': 0, 'runs at once': 0 };
  let lab: Lab | undefined;
  try {
    for (let n = 0; n < cases; n++) {
      if (n % PER_WORLD === 0 || !lab) {
        await lab?.close();
        lab = await Lab.open(new Random(seed + n));
        log(`case ${n}: a new store`);
      }
      try {
        await lab.attempt(n, new Random(seed * 31 + n), facts);
      } catch (error) {
        failures.push({ seed, case: n, message: (error as Error).message });
      }
    }
  } finally {
    await lab?.close();
  }
  return { cases, failures, facts };
}

class Lab {
  readonly #world: World;
  readonly #sound: ReadonlyMap<string, string>;

  private constructor(world: World) {
    this.#world = world;
    this.#sound = filesOf(world.store.directory);
  }

  static async open(random: Random): Promise<Lab> {
    return new Lab(await makeWorld(await mkdtemp(join(tmpdir(), 'holdfast-locations-')), random));
  }

  close(): Promise<void> {
    return rm(this.#world.directory, { recursive: true, force: true });
  }

  async attempt(n: number, random: Random, facts: Record<string, number>): Promise<void> {
    const target = join(this.#world.directory, `copy-${n}`);
    const kills = random.pick([0, 0, 1, 2]);
    const injected = random.chance(0.6) ? this.#inject(random) : undefined;
    try {
      for (let kill = 0; kill < kills; kill++) {
        const atOnce = random.chance(0.25) ? 2 : 1;
        await Promise.all(Array.from({ length: atOnce }, () => this.#killed(target, random)));
        facts.kills! += atOnce;
        if (atOnce > 1) facts['runs at once']!++;
        this.#look(target, `after kill ${kill + 1}${injected ? ` with ${injected.fault}` : ''}`);
      }
      const report = await this.#copy(target);
      this.#look(target, injected ? `made of a source with ${injected.fault}` : 'made in one go');
      if (injected) {
        facts.faults!++;
        facts['backups withheld']! += report.withheld.length;
        const said = report.withheld.length + report.faults.length > 0;
        expectThat(said || SILENT.includes(injected.fault), `nothing was said of ${injected.fault}`);
      }
    } finally {
      injected?.undo();
    }
    const last = await this.#copy(target);
    expectThat(last.withheld.length + last.faults.length === 0, `a sound source was blamed: ${JSON.stringify(last)}`);
    this.#look(target, 'at the end');
    const files = filesOf(target);
    const lacking = [...this.#sound.keys()].find((name) => !files.has(name));
    expectThat(lacking === undefined, `${lacking} did not get across`);
    await rm(target, { recursive: true });
  }

  #inject(random: Random): Injected {
    // Some faults change nothing where they fall, such as zeroing a zero.
    for (;;) {
      const injected = random.pick(faults)(this.#world, random);
      if (injected) return injected;
    }
  }

  #look(target: string, when: string): void {
    const wrong = wrongWith(target, this.#sound);
    expectThat(wrong === undefined, `${when}: ${wrong}`);
  }

  #copy(target: string): Promise<ReplicationReport> {
    const { store, keys } = this.#world;
    return replicate({ source: store, target: DirectoryStore.open(target), trust: keys, keys });
  }

  /** A process that copies, and dies at a write; or ends, where there are fewer. */
  #killed(target: string, random: Random): Promise<void> {
    const when = random.pick(['before', 'during', 'after'] as const);
    const trap = { operation: 1 + random.int(WRITES), when };
    const job: Job = { directory: this.#world.directory, target, trap };
    const child = fork(new URL('locations/worker.ts', import.meta.url), {
      stdio: ['ignore', 'ignore', 'inherit', 'ipc'],
    });
    return new Promise((resolve, reject) => {
      child.on('error', reject);
      child.on('exit', (code, signal) =>
        code === 0 || signal === 'SIGKILL' ? resolve() : reject(new Error(`a copy ended with code ${code}`)),
      );
      child.send(job);
    });
  }
}

function expectThat(holds: boolean, otherwise: string): asserts holds {
  if (!holds) throw new Error(otherwise);
}
