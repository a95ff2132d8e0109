/** The copying of a full: a plan, the chunks that are not there yet, a record of each, so that a killed run goes on. */
import type pg from 'pg';
import type { Context } from '../context.ts';
import type { BoundMap, TableName } from '../datamap/types.ts';
import { formatMoment } from '../moment.ts';
import type { ArenaPool } from './arena.ts';
import { takeHorizon } from './horizon.ts';
import { type ChunkSpec, planChunks } from './plan.ts';
import {
  type ChunkDone,
  findUnfinished,
  type RunPlan,
  removeProgress,
  type Unfinished,
  writeProgress,
} from './progress.ts';
import { columnFingerprint, readChunk } from './readChunk.ts';
import { groupPasses, readPass } from './readPass.ts';
import type { BackupRun } from './run.ts';
import { manifestName } from './store.ts';
import type { Manifest, ManifestObject } from './types.ts';

/** A killed run older than this is not continued: what it read would make the log needlessly long. */
const RESUME_HOURS = 24;

/** What a full is about. */
export interface FullAbout {
  readonly ctx: Context;
  readonly client: pg.Client;
  readonly bound: BoundMap;
  readonly tenant: string | null;
  readonly tables: readonly TableName[];
  readonly excluded: readonly string[];
  readonly epoch: string;
  /** Id of the store. */
  readonly store: string;
  /** The backup whose log this one's continues. */
  readonly parent: Manifest | undefined;
  readonly chunkBytes: number;
}

export interface FullJob extends FullAbout {
  /** Connections to read through; `client` is the first of them. */
  readonly clients: readonly pg.Client[];
  readonly run: BackupRun;
  readonly arenas: ArenaPool;
  readonly startedAt: string;
  readonly unfinished: Unfinished | undefined;
}

export interface FullRead {
  readonly objects: readonly ManifestObject[];
  readonly rawBytes: number;
  /** Where the log has to begin. */
  readonly from: { readonly snapshot: string; readonly moment: string };
}

/** The killed run that this full continues: same store, same life of the database, same schema, not too long ago. */
export async function resumable(about: FullAbout): Promise<Unfinished | undefined> {
  const { ctx, tenant } = about;
  const unfinished = await findUnfinished(ctx, tenant);
  if (!unfinished) return undefined;
  const { run } = unfinished;
  if (await ctx.store.head(manifestName(tenant, run.backup))) {
    // Killed after its manifest: it is complete, only its records are left.
    await removeProgress(ctx.store, tenant, run.backup);
    return undefined;
  }
  const age = ctx.clock.now() - BigInt(Date.parse(run.startedAt)) * 1000n;
  const fits =
    run.store === about.store &&
    run.epoch === about.epoch &&
    run.parent === (about.parent?.id ?? null) &&
    String(run.excluded) === String(about.excluded) &&
    age < BigInt(RESUME_HOURS) * 3_600_000_000n &&
    run.fingerprint === (await columnFingerprint(about.client, about.bound));
  return fits ? unfinished : undefined;
}

/** Reads and writes all chunks that are not there yet. */
export async function copyFull(job: FullJob): Promise<FullRead> {
  const { run, unfinished } = job;
  const plan = unfinished?.run ?? (await makePlan(job));
  const finished = new Map((unfinished?.done ?? []).map((done) => [done.chunk, done]));
  if (unfinished) {
    await run.skipTakenNames();
    for (const done of finished.values()) {
      run.reuseKeys(done.keys);
      for (const object of done.objects) await run.verify(object);
    }
  }
  await copyChunks(job, plan, finished);
  const inOrder = plan.plan.chunks.map((spec) => finished.get(spec.id)!);
  return {
    objects: inOrder.flatMap((done) => done.objects),
    rawBytes: inOrder.reduce((sum, done) => sum + done.rawBytes, 0),
    from: plan.from,
  };
}

async function copyChunks(job: FullJob, plan: RunPlan, finished: Map<string, ChunkDone>): Promise<void> {
  const { ctx, client, bound, run, arenas, chunkBytes } = job;
  const { chunks, tenants } = plan.plan;
  const sum = (specs: readonly ChunkSpec[]) => specs.reduce((bytes, spec) => bytes + spec.bytes, 0);
  const left = chunks.filter((spec) => !finished.has(spec.id));
  ctx.progress.start('Copying', sum(chunks), 'bytes');
  ctx.progress.advance(sum(chunks) - sum(left));

  let record = job.unfinished?.next ?? 1;
  const gathering = new Map<string, { objects: ManifestObject[]; rawBytes: number }>();
  const begin = (spec: ChunkSpec) => {
    run.check();
    const chunk = { objects: [] as ManifestObject[], rawBytes: 0 };
    gathering.set(spec.id, chunk);
    return (part: Parameters<BackupRun['write']>[1]) => {
      chunk.rawBytes += part.bytes;
      run.write('chunk', part, (object) => chunk.objects.push(object));
    };
  };
  const end = (spec: ChunkSpec) =>
    run.afterwards(async () => {
      const { objects, rawBytes } = gathering.get(spec.id)!;
      const keys = run.entriesOf(objects);
      const done = { kind: 'chunk', backup: run.id, chunk: spec.id, objects, keys, rawBytes } as const;
      await writeProgress(ctx, job.tenant, record++, done);
      finished.set(spec.id, done);
      ctx.progress.advance(spec.bytes);
    });

  // A part is larger than its estimate before it is cut: cutting a tenant costs a capsule more for each of its persons.
  const options = { arenas, cut: chunkBytes * 2, fingerprint: plan.fingerprint };
  for (const pass of groupPasses(left)) {
    if (pass.length > 1) {
      await readPass(job.clients, bound, pass, { ...options, begin, end });
      continue;
    }
    const spec = pass[0]!;
    await readChunk(client, bound, spec, tenants, { ...options, take: begin(spec) });
    end(spec);
  }
  await run.settled();
  ctx.progress.done();
}

async function makePlan(job: FullJob): Promise<RunPlan> {
  const { client, bound, tenant, tables, run } = job;
  const before = await takeHorizon(client);
  const log = job.parent?.log;
  const plan: RunPlan = {
    kind: 'plan',
    backup: run.id,
    store: job.store,
    epoch: job.epoch,
    tenant,
    parent: job.parent?.id ?? null,
    startedAt: job.startedAt,
    tables,
    excluded: job.excluded,
    fingerprint: await columnFingerprint(client, bound),
    from: log
      ? { snapshot: log.to, moment: log.toMoment }
      : { snapshot: before.snapshot, moment: formatMoment(before.moment) },
    plan: await planChunks(client, bound, { tenant, tables, target: job.chunkBytes }),
  };
  await writeProgress(job.ctx, tenant, 0, plan);
  return plan;
}
