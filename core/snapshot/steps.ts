/**
 * A backup as steps that are processes of their own: plan, then chunks by many at once, then finish. Each may be killed, called
 * twice or called late. What has been done stands in the store, and whose backup it is in the catalog.
 */
import { randomBytes } from 'node:crypto';
import type pg from 'pg';
import { recordFailed } from '../catalog/record.ts';
import { settleInterrupted } from '../catalog/settle.ts';
import type { Context } from '../context.ts';
import { bind } from '../datamap/bind.ts';
import { DatabaseError } from '../errors.ts';
import { arenasFor, databaseOf } from './backup.ts';
import { closeRun, concludeRun } from './closing.ts';
import { copyChunks } from './full.ts';
import { Keyring } from './keyring.ts';
import { backupOf, claimScope, renewLease } from './lease.ts';
import { readManifest } from './manifest.ts';
import { type BackupOptions, openRun } from './opening.ts';
import { type ChunkDone, type RunPlan, readChunkDone, readDone, readPlan } from './progress.ts';
import { connectReader } from './readers.ts';
import { groupPasses } from './readPass.ts';
import { BackupRun } from './run.ts';
import { StepNotes } from './stepNotes.ts';
import { manifestName, openStore } from './store.ts';
import type { BackupType, Manifest } from './types.ts';

/** Chunks that one item is about: seconds of work, and a spool that fits into a function's temporary files. */
const ITEM_CHUNKS = 8;
/** A Distributed Map runs so many at once at most, and so many short items stay far below the limit of a payload. */
const MOST_ITEMS = 10_000;

export interface PlannedBackup {
  readonly backup: string;
  readonly tenant: string | null;
  readonly type: BackupType;
  /** What is made instead of what was asked, and why. */
  readonly note: string | null;
  /** It is there already, made by this very execution. */
  readonly complete: boolean;
  /** Ranges of chunk numbers, `1-8`, to be copied in any order. */
  readonly items: readonly string[];
}

/**
 * Checks, decides and plans, or finds what this execution, or one before it that was killed, has planned.
 * @throws as `backup` does
 */
export async function planBackup(ctx: Context, options: BackupOptions, execution: string): Promise<PlannedBackup> {
  return withReader(ctx, async (client) => {
    const own = await backupOf(client, execution).catch(notInstalledIsToldLater);
    if (own?.status === 'complete') return planned(await manifestOf(ctx, own.tenant, own.id));
    const { plan, note, unfinished } = await openRun(ctx, client, options, execution);
    const done = new Set(unfinished?.done.map(({ chunk }) => chunk));
    return {
      backup: plan.backup,
      tenant: plan.tenant,
      type: plan.type,
      note: note ?? null,
      complete: false,
      items: itemsOf(plan, done),
    };
  });
}

const planned = ({ id, tenant, type }: Manifest): PlannedBackup => ({
  backup: id,
  tenant,
  type,
  note: null,
  complete: true,
  items: [],
});

/** Without the catalog there is no execution to find; what is missing is said by the checks that follow. */
const notInstalledIsToldLater = (error: unknown): undefined => {
  if (['42P01', '42703', '3F000'].includes((error as { code?: string }).code ?? '')) return undefined;
  throw error;
};

/** Passes that have something left to copy, as ranges; neighbours are joined where there would be too many. */
function itemsOf(plan: RunPlan, done: ReadonlySet<string>): string[] {
  const left = plan.plan.chunks.filter((spec) => !done.has(spec.id));
  const passes = groupPasses(left, plan.chunkBytes * ITEM_CHUNKS);
  const each = Math.ceil(passes.length / MOST_ITEMS);
  const items: string[] = [];
  for (let at = 0; at < passes.length; at += each) {
    const last = passes[Math.min(at + each, passes.length) - 1]!;
    items.push(`${passes[at]![0]!.id}-${last.at(-1)!.id}`);
  }
  return items;
}

export interface CopyStep {
  readonly execution: string;
  readonly backup: string;
  readonly tenant: string | null;
  /** One of `PlannedBackup.items`. */
  readonly chunks: string;
}

/**
 * Copies the chunks of a range that are not copied yet. `stop` is asked before each chunk.
 * @returns whether all of the range is copied
 * @throws DatabaseError HF_LEASE_LOST, HF_SCHEMA_MOVED, HF_RUN_UNKNOWN
 */
export async function copyRange(ctx: Context, step: CopyStep, stop: () => boolean): Promise<{ done: boolean }> {
  const { tenant, backup } = step;
  if (await ctx.store.head(manifestName(tenant, backup))) return { done: true };
  const plan = await planOf(ctx, tenant, backup);
  const [first, last] = step.chunks.split('-').map(Number) as [number, number];
  const specs = plan.plan.chunks.filter(({ id }) => Number(id) >= first && Number(id) <= last);
  const known = await Promise.all(specs.map(({ id }) => readChunkDone(ctx, tenant, backup, id)));
  const left = specs.filter((_, index) => known[index] === undefined);
  if (left.length === 0) return { done: true };
  return withReader(ctx, async (client) => {
    await renewLease(client, backup, step.execution);
    const bound = await bind(client, ctx.map);
    const copied = await withRun(ctx, plan, ({ run, arenas }) =>
      copyChunks({ ctx, clients: [client], bound, run, arenas, plan, stop }, left),
    );
    return { done: copied.length === left.length };
  });
}

/**
 * Completes the backup: log, schema, manifest, catalog. Called again, it returns what is there.
 * @throws DatabaseError HF_CHUNKS_MISSING when a chunk was not copied, HF_LEASE_LOST, HF_HISTORY_PRUNED, HF_RUN_UNKNOWN
 */
export async function finishBackup(ctx: Context, step: Omit<CopyStep, 'chunks'>): Promise<Manifest> {
  const { tenant, backup } = step;
  return withReader(ctx, async (client) => {
    if (await ctx.store.head(manifestName(tenant, backup))) {
      const manifest = await manifestOf(ctx, tenant, backup);
      await concludeRun(ctx, client, manifest);
      return manifest;
    }
    const plan = await planOf(ctx, tenant, backup);
    await renewLease(client, backup, step.execution);
    const chunks = inOrder(plan, await readDone(ctx, tenant, backup));
    const bound = await bind(client, ctx.map);
    const notes = new StepNotes(client, backup, tenant);
    const manifest = await withRun(ctx, plan, ({ run, arenas }) =>
      closeRun({ ctx, client, bound, run, arenas, plan, chunks, notes }),
    );
    await concludeRun(ctx, client, manifest);
    return manifest;
  });
}

/**
 * Keeps in the catalog that an execution has failed, and lets go of its scope: the next one goes on where it was. A backup that was
 * completed all the same stays complete.
 * @returns the backup that was not completed, if the execution had begun one
 */
export async function abandonBackup(ctx: Context, execution: string, error: unknown): Promise<string | undefined> {
  return withReader(ctx, async (client) => {
    const own = await backupOf(client, execution);
    if (own?.status !== 'running') return own?.id;
    const { id: storeId } = await openStore(ctx);
    if (await ctx.store.head(manifestName(own.tenant, own.id))) {
      await claimScope(client, own.tenant, execution);
      await settleInterrupted(ctx, client, { tenant: own.tenant, storeId, except: undefined });
    } else {
      await recordFailed(client, own.id, error);
    }
    return own.id;
  });
}

function inOrder(plan: RunPlan, done: readonly ChunkDone[]): ChunkDone[] {
  const byId = new Map(done.map((chunk) => [chunk.chunk, chunk]));
  const missing = plan.plan.chunks.filter(({ id }) => !byId.has(id)).map(({ id }) => id);
  if (missing.length === 0) return plan.plan.chunks.map(({ id }) => byId.get(id)!);
  throw new DatabaseError(
    'HF_CHUNKS_MISSING',
    `${missing.length} chunks of backup ${plan.backup} were not copied yet.`,
    {
      action: 'Copy them first; a new execution of the workflow does.',
      details: { backup: plan.backup, missing: missing.slice(0, 20) },
    },
  );
}

async function planOf(ctx: Context, tenant: string | null, backup: string): Promise<RunPlan> {
  const plan = await readPlan(ctx, tenant, backup);
  if (plan) return plan;
  throw new DatabaseError('HF_RUN_UNKNOWN', `There is no plan of backup ${backup} in ${ctx.store.description}.`, {
    action: 'Its run was given up and cleaned away. Start a new execution.',
    details: { backup, tenant },
  });
}

async function manifestOf(ctx: Context, tenant: string | null, id: string): Promise<Manifest> {
  return readManifest(ctx, { id, name: manifestName(tenant, id), size: 0 });
}

async function withReader<T>(ctx: Context, work: (client: pg.Client) => Promise<T>): Promise<T> {
  const client = await connectReader(databaseOf(ctx));
  try {
    return await work(client);
  } finally {
    await client.end();
  }
}

async function withRun<T>(
  ctx: Context,
  plan: RunPlan,
  work: (with_: { run: BackupRun; arenas: ReturnType<typeof arenasFor> }) => Promise<T>,
): Promise<T> {
  const arenas = arenasFor(plan.chunkBytes);
  const keyring = new Keyring(ctx.store, ctx.keys, plan.store);
  const run = new BackupRun(ctx, plan.backup, keyring, arenas, randomBytes(4).toString('hex'));
  try {
    return await work({ run, arenas });
  } finally {
    await run.close();
  }
}
