/** What the steps of a file backup have in common: how they name what they are about, the lock, and their age. */
import type pg from 'pg';
import type { Context } from '../context.ts';
import { bind } from '../datamap/bind.ts';
import type { BoundMap } from '../datamap/types.ts';
import { isCode, StoreError } from '../errors.ts';
import { connect } from '../sql.ts';
import { type Held, lockForStep } from './locks.ts';
import { type Note, oldestOfUse } from './notes.ts';
import { checkSet } from './owners.ts';
import type { Share } from './shares.ts';
import type { FileManifest, FileSetSetting, FileTotals } from './types.ts';

export type StepContext = Context & { readonly databaseUrl: string };

/** A run that is made in steps. */
export interface FileRunStep {
  readonly run: string;
  /** null: every tenant, and files of no tenant */
  readonly tenant: string | null;
}

/** What a run is to look at: its first note. */
export interface Plan {
  readonly run: string;
  readonly store: string;
  readonly startedAt: string;
  readonly sets: FileManifest['sets'];
  /** By number: what is looked at together. */
  readonly items: readonly (readonly Share[])[];
}

/** The last note of an item. */
export interface ItemDone extends Note {
  readonly totals: FileTotals;
}

/** With the lock that keeps cleanups away while a step is at work. */
export async function withDatabase<T>(
  ctx: StepContext,
  sets: readonly FileSetSetting[],
  work: (client: pg.Client, bound: BoundMap, held: Held) => Promise<T>,
): Promise<T> {
  const client = await connect(ctx.databaseUrl, 'holdfast-files');
  try {
    const bound = await bind(client, ctx.map);
    for (const set of sets) checkSet(bound, set);
    return await work(client, bound, await lockForStep(client));
  } finally {
    await client.end();
  }
}

/** Notes protect what a run has read for two days; later it may be gone. */
export function mustBeYoung({ clock }: StepContext, run: string): void {
  if (run >= oldestOfUse(clock.now())) return;
  throw new StoreError('HF_FILES_RUN_OLD', `The file backup ${run} was begun too long ago to be gone on with.`, {
    action: 'Start another: it reads what has changed since the last complete one.',
    details: { run },
  });
}

export const isThere = (error: unknown): boolean => isCode(error, 'HF_OBJECT_EXISTS');

export function unlessThere(error: unknown): void {
  if (!isThere(error)) throw error;
}
