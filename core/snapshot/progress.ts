/**
 * What a running backup has finished, in the store beside it, so that a killed run goes on where it was. Each record is
 * signed: whoever can write to the store must not be able to make a resumed backup forget a chunk.
 */
import { HoldfastError, IntegrityError } from '../errors.ts';
import type { KeyService, ObjectStore, Signature } from '../ports.ts';
import { signedBytes } from './canonical.ts';
import type { Plan } from './plan.ts';
import { documentBytes, parseDocument, pathOfTenant } from './store.ts';
import type { Manifest, ManifestObject } from './types.ts';

/** The first record: what is being made. */
export interface RunPlan {
  readonly kind: 'plan';
  readonly backup: string;
  readonly store: string;
  readonly epoch: string;
  readonly tenant: string | null;
  readonly parent: string | null;
  readonly startedAt: string;
  readonly tables: readonly string[];
  readonly excluded: readonly string[];
  readonly fingerprint: string;
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

export const progressFolder = (tenant: string | null): string =>
  `progress/${tenant === null ? '_database' : pathOfTenant(tenant)}/`;
const recordName = (tenant: string | null, backup: string, number: number): string =>
  `${progressFolder(tenant)}${backup}/${String(number).padStart(5, '0')}.json`;

/** Writes record `number` of a run; 0 is the plan. */
export async function writeProgress(
  ctx: StoreAndKeys,
  tenant: string | null,
  number: number,
  record: Unsigned,
): Promise<void> {
  const signature = await ctx.keys.sign(signedBytes(record));
  await ctx.store.put(recordName(tenant, record.backup, number), documentBytes({ ...record, signature }));
}

export interface Unfinished {
  readonly run: RunPlan;
  readonly done: readonly ChunkDone[];
  /** Number for the next record. */
  readonly next: number;
}

/** The latest unfinished full of a scope, or undefined. Records that do not hold end the list: their chunks are read again. */
export async function findUnfinished(ctx: StoreAndKeys, tenant: string | null): Promise<Unfinished | undefined> {
  const names: string[] = [];
  for await (const { name } of ctx.store.list(progressFolder(tenant))) names.push(name);
  const latest = names.at(-1)?.split('/').at(-2);
  if (latest === undefined) return undefined;
  const own = names.filter((name) => name.split('/').at(-2) === latest);
  const records = [];
  for (const name of own) records.push(await readRecord(ctx, name));
  const [run, ...done] = records;
  if (run?.kind !== 'plan' || run.backup !== latest || run.tenant !== tenant) return undefined;
  return {
    run,
    done: done.filter((record): record is ChunkDone => record.kind === 'chunk' && record.backup === latest),
    next: Number(own.at(-1)!.slice(-10, -5)) + 1,
  };
}

async function readRecord(ctx: StoreAndKeys, name: string): Promise<Unsigned> {
  const record = parseDocument(await ctx.store.get(name), name) as Unsigned & { signature: Signature };
  if (await ctx.keys.verify(signedBytes(record), record.signature)) return record;
  throw new IntegrityError('HF_PROGRESS_SIGNATURE', `The signature of ${name} does not hold.`, {
    action: 'It was changed after it was written. Remove it with its folder; the backup then starts anew.',
    details: { object: name },
  });
}

/** Forgets a finished run. A role that may not delete leaves this to cleanup. */
export async function removeProgress(store: ObjectStore, tenant: string | null, backup: string): Promise<void> {
  const names: string[] = [];
  for await (const { name } of store.list(`${progressFolder(tenant)}${backup}/`)) names.push(name);
  // The plan goes last: what is left of a removal that was cut short is still recognised.
  for (const name of names.reverse()) {
    try {
      await store.delete(name);
    } catch (error) {
      if (error instanceof HoldfastError && error.code === 'HF_STORE_DENIED') return;
      throw error;
    }
  }
}
