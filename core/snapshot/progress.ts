/**
 * What a running backup has finished, in the store beside it, so that a killed run goes on where it was. Each record is
 * signed: whoever can write to the store must not be able to make a resumed backup forget a chunk.
 */
import { IntegrityError, isCode } from '../errors.ts';
import type { KeyService, ObjectStore, Signature } from '../ports.ts';
import { signedBytes } from './canonical.ts';
import type { Plan } from './plan.ts';
import { documentBytes, manifestName, parseDocument, pathOfTenant } from './store.ts';
import type { BackupType, Manifest, ManifestObject, ManifestTable } from './types.ts';

/** The first record: what is being made. */
export interface RunPlan {
  readonly kind: 'plan';
  readonly backup: string;
  readonly store: string;
  readonly epoch: string;
  /** Absent where the plan was made without a database. */
  readonly server?: Manifest['server'];
  readonly tenant: string | null;
  readonly type: BackupType;
  readonly parent: string | null;
  readonly startedAt: string;
  readonly tables: readonly string[];
  readonly excluded: readonly string[];
  readonly fingerprint: string;
  /** The tables as they were before the first chunk; absent where the plan was made without a database. */
  readonly versions?: readonly Omit<ManifestTable, 'rows'>[];
  /** Raw bytes per chunk. */
  readonly chunkBytes: number;
  /** Where the log begins, and the horizon before the first chunk. */
  readonly from: { readonly snapshot: string; readonly moment: string };
  readonly plan: Plan;
}

/** One per finished chunk. */
export interface ChunkDone {
  readonly kind: 'chunk';
  readonly backup: string;
  readonly chunk: string;
  readonly objects: readonly ManifestObject[];
  /** Entries for `manifest.keys` of the tenants in these objects. */
  readonly keys: Manifest['keys'];
  readonly rawBytes: number;
}

type Unsigned = RunPlan | ChunkDone;
type StoreAndKeys = { readonly store: ObjectStore; readonly keys: KeyService };

const progressFolder = (tenant: string | null): string =>
  `progress/${tenant === null ? '_database' : pathOfTenant(tenant)}/`;
const recordName = (tenant: string | null, backup: string, number: number): string =>
  `${progressFolder(tenant)}${backup}/${String(number).padStart(5, '0')}.json`;

/**
 * Writes one record of a run. Its name is that of its chunk, so that many may write at once and a chunk has one record only.
 * @throws StoreError HF_OBJECT_EXISTS when that chunk has its record already
 */
export async function writeProgress(ctx: StoreAndKeys, tenant: string | null, record: Unsigned): Promise<void> {
  const signature = await ctx.keys.sign(signedBytes(record));
  const name = recordName(tenant, record.backup, record.kind === 'plan' ? 0 : Number(record.chunk));
  await ctx.store.put(name, documentBytes({ ...record, signature }));
}

/** The same, but where another was first, theirs counts. Returns the one that counts. */
export async function settleChunk(ctx: StoreAndKeys, tenant: string | null, done: ChunkDone): Promise<ChunkDone> {
  try {
    await writeProgress(ctx, tenant, done);
    return done;
  } catch (error) {
    if (!isCode(error, 'HF_OBJECT_EXISTS')) throw error;
    return (await readChunkDone(ctx, tenant, done.backup, done.chunk))!;
  }
}

/** The record of one chunk; undefined: it is not done. */
export async function readChunkDone(
  ctx: StoreAndKeys,
  tenant: string | null,
  backup: string,
  chunk: string,
): Promise<ChunkDone | undefined> {
  const name = recordName(tenant, backup, Number(chunk));
  if (!(await ctx.store.head(name))) return undefined;
  const record = await readRecord(ctx, name);
  if (record.kind === 'chunk' && record.backup === backup && record.chunk === chunk) return record;
  throw foreign(name);
}

/** The plan of a run; undefined: there is none, or it was removed when the backup was complete. */
export async function readPlan(ctx: StoreAndKeys, tenant: string | null, backup: string): Promise<RunPlan | undefined> {
  const name = recordName(tenant, backup, 0);
  if (!(await ctx.store.head(name))) return undefined;
  const record = await readRecord(ctx, name);
  if (record.kind === 'plan' && record.backup === backup && record.tenant === tenant) return record;
  throw foreign(name);
}

export interface Unfinished {
  readonly run: RunPlan;
  readonly done: readonly ChunkDone[];
}

/** Records read at once: it is waiting for the store. */
const READERS = 16;

/**
 * The latest run of a scope that has no manifest yet, or undefined.
 * @throws IntegrityError HF_PROGRESS_SIGNATURE when a record was changed
 */
export async function findUnfinished(ctx: StoreAndKeys, tenant: string | null): Promise<Unfinished | undefined> {
  const names: string[] = [];
  for await (const { name } of ctx.store.list(progressFolder(tenant))) names.push(name);
  const latest = names.at(-1)?.split('/').at(-2);
  if (latest === undefined) return undefined;
  if (await ctx.store.head(manifestName(tenant, latest))) {
    // Killed after its manifest: it is complete, only its records are left.
    await removeProgress(ctx.store, tenant, latest);
    return undefined;
  }
  const own = names.filter((name) => name.split('/').at(-2) === latest);
  const [run, ...done] = await readRecords(ctx, own);
  if (run?.kind !== 'plan' || run.backup !== latest || run.tenant !== tenant) return undefined;
  return { run, done: done.filter((record) => record.kind === 'chunk' && record.backup === latest) as ChunkDone[] };
}

/** Every chunk of a run that is done. @throws IntegrityError HF_PROGRESS_SIGNATURE */
export async function readDone(ctx: StoreAndKeys, tenant: string | null, backup: string): Promise<ChunkDone[]> {
  const names: string[] = [];
  for await (const { name } of ctx.store.list(`${progressFolder(tenant)}${backup}/`)) names.push(name);
  const records = await readRecords(ctx, names);
  return records.filter((record): record is ChunkDone => record.kind === 'chunk' && record.backup === backup);
}

async function readRecords(ctx: StoreAndKeys, names: readonly string[]): Promise<Unsigned[]> {
  const records = new Array<Unsigned>(names.length);
  const left = names.entries();
  const reader = async () => {
    for (const [index, name] of left) records[index] = await readRecord(ctx, name);
  };
  await Promise.all(Array.from({ length: Math.min(READERS, names.length) }, reader));
  return records;
}

async function readRecord(ctx: StoreAndKeys, name: string): Promise<Unsigned> {
  const record = parseDocument(await ctx.store.get(name), name) as Unsigned & { signature: Signature };
  if (await ctx.keys.verify(signedBytes(record), record.signature)) return record;
  throw new IntegrityError('HF_PROGRESS_SIGNATURE', `The signature of ${name} does not hold.`, {
    action: 'It was changed after it was written. Remove it with its folder; the backup then starts anew.',
    details: { object: name },
  });
}

const foreign = (name: string) =>
  new IntegrityError('HF_PROGRESS_SIGNATURE', `${name} is the record of something else.`, {
    action: 'It was moved after it was written. Remove it with its folder; the backup then starts anew.',
    details: { object: name },
  });

/** Forgets a finished run. A role that may not delete leaves this to cleanup. */
export async function removeProgress(store: ObjectStore, tenant: string | null, backup: string): Promise<void> {
  const names: string[] = [];
  for await (const { name } of store.list(`${progressFolder(tenant)}${backup}/`)) names.push(name);
  // The plan goes last: what is left of a removal that was cut short is still recognised.
  for (const name of names.reverse()) {
    try {
      await store.delete(name);
    } catch (error) {
      if (isCode(error, 'HF_STORE_DENIED')) return;
      throw error;
    }
  }
}
