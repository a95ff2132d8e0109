/** The copying of a full: chunks of a plan, read, sealed, written, verified, and noted one by one, so that a killed run goes on. */
import type pg from 'pg';
import type { Context } from '../context.ts';
import type { BoundMap } from '../datamap/types.ts';
import type { ArenaPool } from './arena.ts';
import type { Part } from './parts.ts';
import type { ChunkSpec } from './plan.ts';
import { type ChunkDone, type RunPlan, settleChunk, type Unfinished } from './progress.ts';
import { readChunk } from './readChunk.ts';
import { groupPasses, readPass } from './readPass.ts';
import type { BackupRun } from './run.ts';
import type { ManifestObject } from './types.ts';

export interface CopyJob {
  readonly ctx: Context;
  /** Connections to read through. */
  readonly clients: readonly pg.Client[];
  readonly bound: BoundMap;
  readonly run: BackupRun;
  readonly arenas: ArenaPool;
  readonly plan: RunPlan;
  /** Asked before each chunk; true ends the copying there. @default never */
  readonly stop?: () => boolean;
}

/** Copies every chunk of the plan that an earlier run has not finished. Returns all of them, in the plan's order. */
export async function copyFull(job: CopyJob, unfinished: Unfinished | undefined): Promise<ChunkDone[]> {
  const { ctx, run, plan } = job;
  const { chunks } = plan.plan;
  const finished = new Map((unfinished?.done ?? []).map((done) => [done.chunk, done]));
  if (unfinished) {
    await run.skipTakenNames();
    for (const done of finished.values()) {
      run.reuseKeys(done.keys);
      for (const object of done.objects) await run.verify(object);
    }
  }
  const left = chunks.filter((spec) => !finished.has(spec.id));
  const sum = (specs: readonly ChunkSpec[]) => specs.reduce((bytes, spec) => bytes + spec.bytes, 0);
  ctx.progress.start('Copying', sum(chunks), 'bytes');
  ctx.progress.advance(sum(chunks) - sum(left));
  for (const done of await copyChunks(job, left)) finished.set(done.chunk, done);
  ctx.progress.done();
  return chunks.map((spec) => finished.get(spec.id)!);
}

/**
 * Copies these chunks of the plan. Whoever has written a chunk's record first has copied it; what another wrote for the same chunk
 * then belongs to no backup.
 * @throws DatabaseError HF_SCHEMA_MOVED when a table was altered since the plan was made
 */
export async function copyChunks(job: CopyJob, specs: readonly ChunkSpec[]): Promise<ChunkDone[]> {
  const { ctx, clients, bound, run, arenas, plan } = job;
  const copied: ChunkDone[] = [];
  const gathering = new Map<string, { objects: ManifestObject[]; rawBytes: number }>();
  const begin = (spec: ChunkSpec) => {
    run.check();
    const chunk = { objects: [] as ManifestObject[], rawBytes: 0 };
    gathering.set(spec.id, chunk);
    return (part: Part) => {
      chunk.rawBytes += part.bytes;
      run.write('chunk', part, (object) => chunk.objects.push(object));
    };
  };
  const end = (spec: ChunkSpec) =>
    run.afterwards(async () => {
      const { objects, rawBytes } = gathering.get(spec.id)!;
      const done = {
        kind: 'chunk',
        backup: run.id,
        chunk: spec.id,
        objects,
        keys: run.entriesOf(objects),
        rawBytes,
      } as const;
      copied.push(await settleChunk(ctx, plan.tenant, done));
      ctx.progress.advance(spec.bytes);
    });

  const stop = job.stop ?? (() => false);
  // A part is larger than its estimate before it is cut: cutting a tenant costs a capsule more for each of its persons.
  const options = { arenas, cut: plan.chunkBytes * 2, fingerprint: plan.fingerprint };
  for (const pass of groupPasses(specs)) {
    if (stop()) break;
    if (pass.length > 1) {
      await readPass(clients, bound, pass, { ...options, begin, end, stop });
      continue;
    }
    const spec = pass[0]!;
    await readChunk(clients[0]!, bound, spec, plan.plan.tenants, { ...options, take: begin(spec) });
    end(spec);
  }
  await run.settled();
  return copied;
}
