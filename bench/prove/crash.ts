/** Backups and cleanups that are killed: absent or complete afterwards, and done with little rework when run again. */
import { fork } from 'node:child_process';
import { mkdtemp, readdir, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import type pg from 'pg';
import type { DirectoryStore } from '../../adapters/local/directoryStore.ts';
import { EmbeddedServer } from '../../adapters/local/embedded.ts';
import { bind } from '../../core/datamap/bind.ts';
import { install } from '../../core/history/install.ts';
import { restoreTest } from '../../core/restore/restoreTest.ts';
import { backup } from '../../core/snapshot/backup.ts';
import { cleanup } from '../../core/snapshot/cleanup.ts';
import { listManifests, readManifest } from '../../core/snapshot/manifest.ts';
import { validate } from '../../core/snapshot/validate.ts';
import { connect } from '../../core/sql.ts';
import { createSample } from '../../sample/create.ts';
import { sampleMap } from '../../sample/map.ts';
import type { Job, Outcome } from './crash/worker.ts';
import { type CrashContext, openContext } from './crash/world.ts';
import { type ProveFailure, type ProveOptions, type ProveResult, Random, type Suite } from './suite.ts';

const KINDS = ['write', 'time', 'write', 'space', 'write', 'server', 'cleanup', 'incremental'] as const;
type Kind = (typeof KINDS)[number];

/** Small, so that a backup of the sample has many chunks. */
const CHUNK_BYTES = 200_000;

const suite: Suite = {
  name: 'crash',
  description: 'kill -9 of backup, cleanup and server at each step and at random, full disk',
  quickCases: 12,
  run,
};
export default suite;

async function run({ cases, seed, log }: ProveOptions): Promise<ProveResult> {
  // A server of its own: some cases kill it.
  const root = await mkdtemp(join(tmpdir(), 'holdfast-crash-'));
  const lab = await Lab.open(root);
  const failures: ProveFailure[] = [];
  const facts = { killed: 0, resumed: 0, 'chunks redone at most': 0 };
  try {
    for (let number = 0; number < cases; number++) {
      const kind = KINDS[number % KINDS.length]!;
      try {
        const seen = await lab.attempt(kind, new Random(seed * 1_000_003 + number), number);
        facts.killed += seen.killed ? 1 : 0;
        facts.resumed += seen.resumed > 0 ? 1 : 0;
        facts['chunks redone at most'] = Math.max(facts['chunks redone at most'], seen.redone);
      } catch (error) {
        failures.push({ seed, case: number, message: `${kind}: ${(error as Error).message}` });
        log(`case ${number} (${kind}): ${(error as Error).stack}`);
      }
      if (number % 8 === 7) log(`${number + 1} of ${cases}`);
    }
  } finally {
    await lab.close();
    await rm(root, { recursive: true, force: true });
  }
  return { cases, failures, facts };
}

interface Seen {
  readonly killed: boolean;
  /** Chunks that the second run found done. */
  readonly resumed: number;
  /** Chunks whose objects were written and then written again. */
  readonly redone: number;
}

class Lab {
  readonly #root: string;
  #server: EmbeddedServer;
  #operations = 0;
  #bytes = 0;

  private constructor(root: string, server: EmbeddedServer) {
    this.#root = root;
    this.#server = server;
  }

  static async open(root: string): Promise<Lab> {
    const lab = new Lab(root, await startServer(root));
    const client = await lab.#connect();
    await createSample(client, { tenants: 6, usersPerTenant: 4 });
    await install(client, await bind(client, sampleMap()));
    await client.end();
    await lab.#measure();
    return lab;
  }

  async close(): Promise<void> {
    await this.#server.stop();
  }

  /** How many writes and bytes an undisturbed backup takes: the range that strikes are drawn from. */
  async #measure(): Promise<void> {
    const directory = join(this.#root, 'measure');
    const ctx = await openContext(directory, this.#url());
    const { manifest } = await backup(ctx, { type: 'full', chunkBytes: CHUNK_BYTES });
    const chunks = manifest.objects.filter((o) => o.kind === 'chunk').length;
    // Marker, tenant keys, plan, an object and a record per chunk, schema, manifest, and the records' removal.
    this.#operations = 1 + Object.keys(manifest.keys).length + 1 + 2 * chunks + 2 + chunks + 1;
    this.#bytes = manifest.totals.bytes;
    await this.#forget();
    await rm(directory, { recursive: true });
  }

  #url(): string {
    return this.#server.url();
  }

  #connect(): Promise<pg.Client> {
    return connect(this.#url(), 'holdfast-prove');
  }

  /** Another store: the catalog must not remember the last one. */
  async #forget(): Promise<void> {
    const client = await this.#connect();
    await client.query('delete from holdfast.tenant_backups');
    await client.query('delete from holdfast.tenant_backup_logs');
    await client.end();
  }

  async #write(random: Random): Promise<void> {
    const client = await this.#connect();
    await client.query('update public.journal_entries set title = title || $1 where length(body) % 17 = $2', [
      '.',
      random.int(17),
    ]);
    await client.end();
  }

  async attempt(kind: Kind, random: Random, number: number): Promise<Seen> {
    await this.#forget();
    const directory = join(this.#root, `case-${number}`);
    const ctx = await openContext(directory, this.#url());
    try {
      if (kind === 'cleanup') return await this.#cleanup(ctx, directory, random);
      if (kind === 'incremental') return await this.#incremental(ctx, directory, random);
      return await this.#backup(kind, ctx, directory, random);
    } finally {
      await rm(directory, { recursive: true, force: true });
    }
  }

  async #backup(kind: Kind, ctx: CrashContext, directory: string, random: Random): Promise<Seen> {
    const options = { type: 'full', chunkBytes: CHUNK_BYTES } as const;
    const base = { directory, databaseUrl: ctx.databaseUrl, backup: options };
    const when = random.pick(['before', 'during', 'after'] as const);
    const first = await this.#strike(
      kind,
      random,
      {
        write: { ...base, trap: { operation: 1 + random.int(this.#operations), when } },
        space: { ...base, space: random.int(this.#bytes) },
      }[kind as 'write' | 'space'] ?? base,
    );
    if (kind === 'space') expectThat(first === undefined || !first.ok, 'a backup on a full disk succeeded');

    const before = await this.#state(ctx);
    await this.#allWhole(ctx);
    expectThat(before.manifests.length <= 1, `${before.manifests.length} manifests after one run`);
    await this.#write(random);
    const { manifest, resumed } = await backup(ctx, options);
    const after = await this.#state(ctx);
    await this.#allWhole(ctx);
    if (before.manifests.length === 0 && before.records > 0) {
      expectThat(resumed === before.records - 1, `resumed ${resumed} chunks where ${before.records - 1} were recorded`);
      expectThat(manifest.id === before.unfinished, 'the second run did not go on with the first');
    }
    const named = new Set(manifest.objects.map((o) => o.name));
    const redone = after.objects.filter(
      (name) => name.startsWith(`backups/${manifest.id}/`) && !named.has(name),
    ).length;
    expectThat(redone <= 1, `${redone} objects were written in vain`);
    await this.#catalogAgrees(ctx);
    await this.#rowsAgree(ctx, manifest.tables);
    if (random.chance(0.25)) {
      const proof = await restoreTest(ctx, manifest);
      expectThat(proof.ok, `does not restore: ${proof.failures.join('; ')}`);
    }
    return { killed: first === undefined, resumed, redone };
  }

  async #incremental(ctx: CrashContext, directory: string, random: Random): Promise<Seen> {
    const full = await backup(ctx, { type: 'full', chunkBytes: CHUNK_BYTES });
    await this.#write(random);
    const trap = { operation: 1 + random.int(3), when: random.pick(['before', 'during', 'after'] as const) };
    const job: Job = { directory, databaseUrl: ctx.databaseUrl, backup: { type: 'incremental' }, trap };
    const first = await this.#run(job);
    await this.#allWhole(ctx);
    const { manifest } = await backup(ctx, { type: 'incremental' });
    await this.#allWhole(ctx);
    await this.#catalogAgrees(ctx);
    const chain = await Promise.all((await listManifests(ctx.store)).map((ref) => readManifest(ctx, ref)));
    const at = chain.findIndex((m) => m.id === full.manifest.id);
    for (let i = at + 1; i < chain.length; i++) {
      expectThat(chain[i]!.log.from === chain[i - 1]!.log.to, 'there is a gap between two logs');
    }
    expectThat(chain.at(-1)!.id === manifest.id, 'the last backup is not the last in the store');
    return { killed: first === undefined, resumed: 0, redone: 0 };
  }

  async #cleanup(ctx: CrashContext, directory: string, random: Random): Promise<Seen> {
    for (const type of ['full', 'incremental', 'full', 'incremental'] as const) {
      await this.#write(random);
      await backup(ctx, { type, chunkBytes: CHUNK_BYTES * 4 });
    }
    // The first two go, object by object.
    const policy = { rules: [], everyMomentForDays: 0 };
    const trap = { operation: 1 + random.int(10), when: random.pick(['before', 'after'] as const) };
    const first = await this.#run({ directory, databaseUrl: ctx.databaseUrl, cleanup: { policy }, trap });
    await this.#allWhole(ctx);
    await cleanup(ctx, { policy, graceHours: -1 });
    await this.#allWhole(ctx);
    await this.#catalogAgrees(ctx);
    const { manifests, objects } = await this.#state(ctx);
    expectThat(manifests.length === 2, `${manifests.length} backups are left instead of 2`);
    const strays = objects.filter((name) => !manifests.some((id) => name.startsWith(`backups/${id}/`)));
    expectThat(strays.length === 0, `objects were left behind: ${strays.join(', ')}`);
    return { killed: first === undefined, resumed: 0, redone: 0 };
  }

  /** undefined: it was killed. */
  async #strike(kind: Kind, random: Random, job: Job): Promise<Outcome | undefined> {
    if (kind === 'time') return this.#run(job, 250 + random.int(1200));
    if (kind !== 'server') return this.#run(job);
    const running = this.#run(job);
    await new Promise((resolve) => setTimeout(resolve, 300 + random.int(900)));
    await this.#server.kill9();
    const outcome = await running;
    expectThat(outcome !== undefined, 'the backup ended without a word when the server died');
    this.#server = await startServer(this.#root, this.#server.port);
    return undefined;
  }

  #run(job: Job, killAfter?: number): Promise<Outcome | undefined> {
    const child = fork(new URL('crash/worker.ts', import.meta.url), { stdio: ['ignore', 'ignore', 'inherit', 'ipc'] });
    const timer = killAfter === undefined ? undefined : setTimeout(() => child.kill('SIGKILL'), killAfter);
    return new Promise((resolve, reject) => {
      let outcome: Outcome | undefined;
      child.on('message', (message) => {
        outcome = message as Outcome;
      });
      child.on('error', reject);
      child.on('exit', () => {
        clearTimeout(timer);
        resolve(outcome);
      });
      child.send(job);
    });
  }

  async #state(ctx: CrashContext) {
    const names: string[] = [];
    for await (const { name } of ctx.store.list('')) names.push(name);
    const records = names.filter((name) => name.startsWith('progress/'));
    return {
      manifests: (await listManifests(ctx.store)).map((ref) => ref.id),
      objects: names.filter((name) => name.startsWith('backups/')),
      records: records.length,
      unfinished: records[0]?.split('/').at(-2),
    };
  }

  /** Every backup that is listed is complete, down to the last byte, and so are those that it needs. */
  async #allWhole(ctx: CrashContext): Promise<void> {
    for (const ref of await listManifests(ctx.store)) {
      const { faults } = await validate(ctx, ref.id, { deep: true });
      expectThat(faults.length === 0, `${ref.id} has faults: ${JSON.stringify(faults)}`);
    }
  }

  async #catalogAgrees(ctx: CrashContext): Promise<void> {
    const client = await this.#connect();
    const { rows } = await client.query<{ id: string; status: string }>(
      "select id, status from holdfast.tenant_backups where status in ('complete', 'running') order by id",
    );
    await client.end();
    const listed = (await listManifests(ctx.store)).map((ref) => ref.id).sort();
    const complete = rows.filter((row) => row.status === 'complete').map((row) => row.id);
    expectThat(String(complete) === String(listed), `the catalog lists ${complete}, the store ${listed}`);
    expectThat(complete.length === rows.length, 'the catalog says that a run is still going on');
    const left = (await readdir((ctx.store as DirectoryStore).directory, { recursive: true })).filter(
      (f) => f.includes('progress/') && f.endsWith('.json'),
    );
    expectThat(left.length === 0, `records of finished runs are left: ${left}`);
  }

  /** Nobody writes while the second run reads, so its chunks hold what the tables hold. */
  async #rowsAgree(ctx: CrashContext, tables: readonly { name: string; rows: number }[]): Promise<void> {
    const client = await connect(ctx.databaseUrl, 'holdfast-prove');
    for (const { name, rows } of tables) {
      const live = await client.query<{ n: number }>(`select count(*)::int as n from ${name}`);
      expectThat(live.rows[0]!.n === rows, `${name} has ${live.rows[0]!.n} rows, the backup ${rows}`);
    }
    await client.end();
  }
}

const startServer = (root: string, port?: number): Promise<EmbeddedServer> =>
  EmbeddedServer.start({
    directory: join(root, 'server'),
    settings: { fsync: 'off' },
    ...(port === undefined ? {} : { port }),
  });

function expectThat(holds: boolean, otherwise: string): asserts holds {
  if (!holds) throw new Error(otherwise);
}
