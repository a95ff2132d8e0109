/** Makes a backup in one process: checks, reading, writing, reading back, and the manifest, which is the moment it exists. */
import { recordFailed } from '../catalog/record.ts';
import type { Context } from '../context.ts';
import { ConfigError } from '../errors.ts';
import { ArenaPool } from './arena.ts';
import { closeRun } from './closing.ts';
import { copyFull } from './full.ts';
import { Keyring } from './keyring.ts';
import { type BackupOptions, type OpenRun, openRun } from './opening.ts';
import { removeProgress } from './progress.ts';
import { connectReader, withReaders } from './readers.ts';
import { BackupRun } from './run.ts';
import { StepNotes } from './stepNotes.ts';
import type { Manifest } from './types.ts';

export type { BackupOptions } from './opening.ts';

export interface BackupResult {
  readonly manifest: Manifest;
  /** What was made instead of what was asked, and why. */
  readonly note?: string;
  /** Chunks that an earlier, killed run had finished. */
  readonly resumed: number;
  readonly seconds: number;
}

/** Parts in memory at once: one is read while the one before is sealed and written. */
const ARENAS = 2;
export const arenasFor = (chunkBytes: number): ArenaPool => new ArenaPool(ARENAS, Math.ceil(chunkBytes * 1.25));

/**
 * Backs up one tenant, or everything. A killed run leaves no backup; the next run of a full goes on where it was.
 * @throws DatabaseError HF_NOT_INSTALLED, HF_NOT_PROTECTED, HF_BACKUP_RUNNING, HF_DATABASE_REWOUND, HF_SCHEMA_MOVED;
 * ConfigError HF_TENANT_UNKNOWN, HF_TABLE_UNKNOWN; whatever store and keys throw
 */
export async function backup(ctx: Context, options: BackupOptions): Promise<BackupResult> {
  const began = performance.now();
  const client = await connectReader(databaseOf(ctx));
  try {
    const open = await openRun(ctx, client, options);
    const { plan, note, unfinished } = open;
    const notes = new StepNotes(client, plan.backup, plan.tenant);
    await notes.note('check', 'ok', performance.now() - began);
    try {
      const manifest = await make(open, notes);
      const seconds = (performance.now() - began) / 1000;
      return { manifest, ...(note === undefined ? {} : { note }), resumed: unfinished?.done.length ?? 0, seconds };
    } catch (error) {
      // The connection may be what failed; the error to report is the first one either way.
      await recordFailed(client, plan.backup, error).catch(() => {});
      throw error;
    }
  } finally {
    await client.end();
  }
}

/** @throws ConfigError HF_DATABASE_URL */
export function databaseOf(ctx: Context): string {
  if (ctx.databaseUrl !== undefined) return ctx.databaseUrl;
  throw new ConfigError('HF_DATABASE_URL', 'A backup needs the database.', { action: 'Pass --database-url.' });
}

async function make(open: OpenRun, notes: StepNotes): Promise<Manifest> {
  const { ctx, client, bound, plan, unfinished } = open;
  const arenas = arenasFor(plan.chunkBytes);
  const run = new BackupRun(ctx, plan.backup, new Keyring(ctx.store, ctx.keys, plan.store), arenas);
  try {
    const job = { ctx, bound, run, arenas, plan };
    const chunks =
      plan.type === 'full'
        ? await notes.step('copy', () =>
            withReaders(ctx.databaseUrl!, client, (clients) => copyFull({ ...job, clients }, unfinished)),
          )
        : [];
    const manifest = await closeRun({ ...job, client, chunks, notes });
    if (plan.type === 'full') await removeProgress(ctx.store, plan.tenant, plan.backup);
    return manifest;
  } finally {
    await run.close();
  }
}
