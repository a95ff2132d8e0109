/** How a run ends: the log, the schema, and the manifest, which is the moment the backup exists. */
import type pg from 'pg';
import { registerBackup, sha256Hex } from '../catalog/record.ts';
import type { Context } from '../context.ts';
import { tableNamed } from '../datamap/reach.ts';
import type { BoundMap } from '../datamap/types.ts';
import { DatabaseError, isCode } from '../errors.ts';
import { formatMoment } from '../moment.ts';
import type { ArenaPool } from './arena.ts';
import { horizonAt, type LogEnd, takeHorizon } from './horizon.ts';
import { readManifest, writeManifest } from './manifest.ts';
import type { ChunkDone, RunPlan } from './progress.ts';
import { removeProgress } from './progress.ts';
import { readLog, TRAIL } from './readLog.ts';
import type { BackupRun } from './run.ts';
import { writeSchemaObject } from './schemaObject.ts';
import type { StepNotes } from './stepNotes.ts';
import { documentBytes, manifestName } from './store.ts';
import { FORMAT, FORMAT_VERSION, type Manifest, type ManifestObject } from './types.ts';

export interface CloseJob {
  readonly ctx: Context;
  readonly client: pg.Client;
  readonly bound: BoundMap;
  readonly run: BackupRun;
  readonly arenas: ArenaPool;
  readonly plan: RunPlan;
  /** Every chunk of the plan, in its order. */
  readonly chunks: readonly ChunkDone[];
  readonly notes: StepNotes;
}

/**
 * Completes the backup. When another process has completed the same one in the meantime, theirs is returned.
 * @throws DatabaseError HF_HISTORY_PRUNED
 */
export async function closeRun(job: CloseJob): Promise<Manifest> {
  const { ctx, client, run, plan, notes } = job;
  for (const chunk of job.chunks) run.reuseKeys(chunk.keys);
  const objects: ManifestObject[] = job.chunks.flatMap((chunk) => chunk.objects);
  let rawBytes = job.chunks.reduce((sum, chunk) => sum + chunk.rawBytes, 0);
  const to = await takeHorizon(client);
  await notes.step('log', async () => {
    const read = await copyLog(job, to);
    objects.push(...read.objects);
    rawBytes += read.rawBytes;
  });
  const schema = await notes.step('schema', () => writeSchemaObject(ctx, run, client, to.snapshot));
  await run.verify(schema);
  objects.push(schema);
  await notes.note('verify', 'ok', run.verifying);

  const { rows, changes } = count(objects);
  const moment = formatMoment(to.moment);
  const unsigned = {
    format: FORMAT,
    version: FORMAT_VERSION,
    id: run.id,
    store: plan.store,
    epoch: plan.epoch,
    server: plan.server!,
    tenant: plan.tenant,
    type: plan.type,
    parent: plan.parent,
    startedAt: plan.startedAt,
    finishedAt: formatMoment(ctx.clock.now()),
    horizon: moment,
    log: { from: plan.from.snapshot, to: to.snapshot, fromMoment: plan.from.moment, toMoment: moment },
    ...(plan.type === 'full' ? { consistentFrom: moment } : {}),
    tables: plan.versions!.map((table) => ({ ...table, rows: rows.get(table.name) ?? 0 })),
    excluded: plan.excluded,
    keys: run.keyEntries,
    objects,
    totals: {
      rows: [...rows.values()].reduce((sum, count) => sum + count, 0),
      changes,
      rawBytes,
      bytes: objects.reduce((sum, object) => sum + object.size, 0),
    },
  } as const;
  const manifest = await notes.step('manifest', () => commit(ctx, unsigned));
  await notes.step('register', () => register(client, manifest));
  return manifest;
}

/** Tells the catalog of a backup that is complete, and forgets how far it was. */
export async function concludeRun(ctx: Context, client: pg.Client, manifest: Manifest): Promise<void> {
  await register(client, manifest);
  await removeProgress(ctx.store, manifest.tenant, manifest.id);
}

const register = (client: pg.Client, manifest: Manifest): Promise<void> =>
  registerBackup(client, manifest, sha256Hex(documentBytes(manifest)), manifest.finishedAt);

async function commit(ctx: Context, unsigned: Omit<Manifest, 'signature'>): Promise<Manifest> {
  try {
    return await writeManifest(ctx, unsigned);
  } catch (error) {
    if (!isCode(error, 'HF_OBJECT_EXISTS')) throw error;
    const { id, tenant, store } = unsigned;
    return readManifest(ctx, { id, name: manifestName(tenant, id), size: 0 }, { storeId: store });
  }
}

function count(objects: readonly ManifestObject[]): { rows: Map<string, number>; changes: number } {
  const rows = new Map<string, number>();
  let changes = 0;
  for (const object of objects) {
    for (const slab of object.slabs) {
      for (const [table, number] of Object.entries(slab.rows)) {
        if (object.kind === 'chunk') rows.set(table, (rows.get(table) ?? 0) + number);
        else if (table === TRAIL) changes += number;
      }
    }
  }
  return { rows, changes };
}

async function copyLog(
  { client, bound, run, arenas, plan }: CloseJob,
  to: LogEnd,
): Promise<{ objects: ManifestObject[]; rawBytes: number }> {
  const objects: ManifestObject[] = [];
  let rawBytes = 0;
  const fromId = await horizonAt(client, plan.from.moment);
  if (fromId === undefined) {
    throw new DatabaseError(
      'HF_HISTORY_PRUNED',
      `History from ${plan.from.moment} on was pruned while the backup ran.`,
      {
        action: 'Run a full backup, and keep history for longer than the time between backups.',
        details: { from: plan.from.moment },
      },
    );
  }
  const tables = plan.tables.map((name) => tableNamed(bound, name));
  const spec = { fromId, toId: to.id, tenant: plan.tenant, tables, snapshot: to.snapshot };
  await readLog(client, bound, spec, {
    arenas,
    cut: plan.chunkBytes,
    take: (part) => {
      rawBytes += part.bytes;
      run.write('log', part, (object) => objects.push(object));
    },
  });
  await run.settled();
  return { objects, rawBytes };
}
