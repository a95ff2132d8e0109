/** Makes a backup: checks, reading, writing, reading back, and the manifest, which is the moment it exists. */
import { randomBytes } from 'node:crypto';
import type pg from 'pg';
import {
  describeError,
  logStep,
  recordFailed,
  recordRunning,
  registerBackup,
  type StepResult,
  sha256Hex,
} from '../catalog/record.ts';
import { settleInterrupted } from '../catalog/settle.ts';
import type { Context } from '../context.ts';
import { bind } from '../datamap/bind.ts';
import { tableNamed } from '../datamap/reach.ts';
import type { BoundMap, TableName } from '../datamap/types.ts';
import { ConfigError, DatabaseError } from '../errors.ts';
import { formatMoment } from '../moment.ts';
import { ArenaPool } from './arena.ts';
import { type Decision, decide } from './base.ts';
import { checkDatabase, selectTables } from './checks.ts';
import { type DatabaseFacts, manifestTables, readFacts } from './facts.ts';
import { copyFull, type FullAbout, resumable } from './full.ts';
import { backupsBefore } from './history.ts';
import { horizonAt, type LogEnd, takeHorizon } from './horizon.ts';
import { Keyring } from './keyring.ts';
import { writeManifest } from './manifest.ts';
import { removeProgress, type Unfinished } from './progress.ts';
import { connectReader, withReaders } from './readers.ts';
import { readLog, TRAIL } from './readLog.ts';
import { BackupRun } from './run.ts';
import { writeSchemaObject } from './schemaObject.ts';
import { documentBytes, openStore } from './store.ts';
import { type BackupType, FORMAT, FORMAT_VERSION, type Manifest, type ManifestObject } from './types.ts';

export interface BackupOptions {
  readonly type: BackupType;
  /** @default every tenant and the shared rows */
  readonly tenant?: string;
  /** @default all protected tables */
  readonly tables?: readonly TableName[];
  readonly exclude?: readonly TableName[];
  /** Raw bytes per chunk. @default 32 MiB */
  readonly chunkBytes?: number;
}

export interface BackupResult {
  readonly manifest: Manifest;
  /** What was made instead of what was asked, and why. */
  readonly note?: string;
  /** Chunks that an earlier, killed run had finished. */
  readonly resumed: number;
  readonly seconds: number;
}

const CHUNK_BYTES = 32 << 20;
/** Parts in memory at once: one is read while the one before is sealed and written. */
const ARENAS = 2;
/**
 * Backs up one tenant, or everything. A killed run leaves no backup; the next run of a full goes on where it was.
 * @throws DatabaseError HF_NOT_INSTALLED, HF_NOT_PROTECTED, HF_BACKUP_RUNNING, HF_DATABASE_REWOUND, HF_SCHEMA_MOVED;
 * ConfigError HF_TENANT_UNKNOWN, HF_TABLE_UNKNOWN; whatever store and keys throw
 */
export async function backup(ctx: Context, options: BackupOptions): Promise<BackupResult> {
  if (ctx.databaseUrl === undefined) {
    throw new ConfigError('HF_DATABASE_URL', 'A backup needs the database.', { action: 'Pass --database-url.' });
  }
  const client = await connectReader(ctx.databaseUrl);
  try {
    return await new Backup(ctx, client, options).run();
  } finally {
    await client.end();
  }
}

class Backup {
  readonly #ctx: Context;
  readonly #client: pg.Client;
  readonly #options: BackupOptions;
  readonly #tenant: string | null;
  readonly #chunkBytes: number;
  #id: string | null = null;
  #bound!: BoundMap;
  #facts!: DatabaseFacts;
  #excluded: readonly string[] = [];

  constructor(ctx: Context, client: pg.Client, options: BackupOptions) {
    this.#ctx = ctx;
    this.#client = client;
    this.#options = options;
    this.#tenant = options.tenant ?? null;
    this.#chunkBytes = options.chunkBytes ?? CHUNK_BYTES;
  }

  async run(): Promise<BackupResult> {
    const began = performance.now();
    // Its result is kept once the run has a name; a run that is refused here never was one.
    this.#bound = await bind(this.#client, this.#ctx.map);
    await checkDatabase(this.#client, this.#bound, this.#tenant);
    await this.#lock();
    const { tables, excluded } = selectTables(this.#bound, this.#options);
    this.#excluded = excluded;
    this.#facts = await readFacts(this.#client, this.#bound, tables, this.#tenant);
    const store = (await openStore(this.#ctx, { create: true })).id;
    const { decision, unfinished } = await this.#decide(store);

    const startedAt = unfinished?.run.startedAt ?? formatMoment(this.#ctx.clock.now());
    const id = unfinished?.run.backup ?? backupId(startedAt, decision.type);
    await settleInterrupted(this.#ctx, this.#client, {
      tenant: this.#tenant,
      storeId: store,
      except: unfinished?.run.backup,
    });
    this.#id = id;
    const parent = decision.parent?.id ?? null;
    await recordRunning(this.#client, {
      id,
      tenant: this.#tenant,
      type: decision.type,
      parent,
      epoch: this.#facts.epoch,
      startedAt,
    });
    await this.#note('check', 'ok', performance.now() - began);
    const arenas = new ArenaPool(ARENAS, Math.ceil(this.#chunkBytes * 1.25));
    const run = new BackupRun(this.#ctx, id, new Keyring(this.#ctx.store, this.#ctx.keys, store), arenas);
    try {
      const about = { decision, unfinished, store, startedAt };
      const manifest = await this.#make(run, arenas, about).finally(() => run.close());
      return {
        manifest,
        ...(decision.note === undefined ? {} : { note: decision.note }),
        resumed: unfinished?.done.length ?? 0,
        seconds: (performance.now() - began) / 1000,
      };
    } catch (error) {
      // The connection may be what failed; the error to report is the first one either way.
      await recordFailed(this.#client, id, error).catch(() => {});
      throw error;
    }
  }

  async #lock(): Promise<void> {
    const scope = this.#tenant ?? '';
    const { rows } = await this.#client.query<{ locked: boolean }>(
      "select pg_try_advisory_lock(hashtextextended('holdfast.backup ' || $1, 0)) as locked",
      [scope],
    );
    if (rows[0]!.locked) return;
    throw new DatabaseError(
      'HF_BACKUP_RUNNING',
      `A backup of ${this.#tenant ?? 'the whole database'} is running already.`,
      {
        action: 'Wait until it has ended. The lock goes with its connection, so a killed run does not hold it.',
        details: { tenant: this.#tenant },
      },
    );
  }

  async #decide(store: string): Promise<{ decision: Decision; unfinished: Unfinished | undefined }> {
    const before = await backupsBefore(this.#ctx, store, this.#tenant, this.#excluded);
    const reached = new Set<string>();
    for (const manifest of [before.latest, before.full]) {
      if (manifest && (await horizonAt(this.#client, manifest.log.toMoment)) !== undefined) reached.add(manifest.id);
    }
    const decision = decide({
      ...before,
      ...this.#facts,
      asked: this.#options.type,
      known: (id) => this.#facts.backups.has(id),
      reaches: (manifest) => reached.has(manifest.id),
    });
    if (decision.type !== 'full') return { decision, unfinished: undefined };
    return { decision, unfinished: await resumable(this.#full(store, decision)) };
  }

  #full(store: string, decision: Decision): FullAbout {
    return {
      ctx: this.#ctx,
      client: this.#client,
      bound: this.#bound,
      tenant: this.#tenant,
      tables: this.#facts.tables.map((t) => t.name),
      excluded: this.#excluded,
      epoch: this.#facts.epoch,
      chunkBytes: this.#chunkBytes,
      store,
      parent: decision.parent,
    };
  }

  async #make(
    run: BackupRun,
    arenas: ArenaPool,
    about: { decision: Decision; unfinished: Unfinished | undefined; store: string; startedAt: string },
  ): Promise<Manifest> {
    const { decision, store, startedAt } = about;
    const objects: ManifestObject[] = [];
    let rawBytes = 0;
    let from: { snapshot: string; moment: string };
    if (decision.type === 'full') {
      const full = this.#full(store, decision);
      const read = await this.#step('copy', () =>
        withReaders(this.#ctx.databaseUrl!, this.#client, (clients) =>
          copyFull({ ...full, clients, run, arenas, startedAt, unfinished: about.unfinished }),
        ),
      );
      objects.push(...read.objects);
      rawBytes += read.rawBytes;
      from = read.from;
    } else {
      const { to, toMoment } = decision.parent!.log;
      from = { snapshot: to, moment: toMoment };
    }
    const to = await takeHorizon(this.#client);
    await this.#step('log', async () => {
      const read = await this.#log(run, arenas, from, to);
      objects.push(...read.objects);
      rawBytes += read.rawBytes;
    });
    const schema = await this.#step('schema', () => writeSchemaObject(this.#ctx, run, this.#client, to.snapshot));
    await run.verify(schema);
    objects.push(schema);
    await this.#note('verify', 'ok', run.verifying);

    const rows = new Map<string, number>();
    let changes = 0;
    for (const object of objects) {
      for (const slab of object.slabs) {
        for (const [table, count] of Object.entries(slab.rows)) {
          if (object.kind === 'chunk') rows.set(table, (rows.get(table) ?? 0) + count);
          else if (table === TRAIL) changes += count;
        }
      }
    }
    const moment = formatMoment(to.moment);
    const manifest = await this.#step('manifest', () =>
      writeManifest(this.#ctx, {
        format: FORMAT,
        version: FORMAT_VERSION,
        id: run.id,
        store,
        epoch: this.#facts.epoch,
        server: this.#facts.server,
        tenant: this.#tenant,
        type: decision.type,
        parent: decision.parent?.id ?? null,
        startedAt,
        finishedAt: formatMoment(this.#ctx.clock.now()),
        horizon: moment,
        log: { from: from.snapshot, to: to.snapshot, fromMoment: from.moment, toMoment: moment },
        ...(decision.type === 'full' ? { consistentFrom: moment } : {}),
        tables: manifestTables(this.#facts, rows),
        excluded: this.#excluded,
        keys: run.keyEntries,
        objects,
        totals: {
          rows: [...rows.values()].reduce((sum, count) => sum + count, 0),
          changes,
          rawBytes,
          bytes: objects.reduce((sum, object) => sum + object.size, 0),
        },
      }),
    );
    await this.#step('register', () =>
      registerBackup(this.#client, manifest, sha256Hex(documentBytes(manifest)), manifest.finishedAt),
    );
    if (decision.type === 'full') await removeProgress(this.#ctx.store, this.#tenant, run.id);
    return manifest;
  }

  async #log(
    run: BackupRun,
    arenas: ArenaPool,
    from: { snapshot: string; moment: string },
    to: LogEnd,
  ): Promise<{ objects: ManifestObject[]; rawBytes: number }> {
    const objects: ManifestObject[] = [];
    let rawBytes = 0;
    const fromId = await horizonAt(this.#client, from.moment);
    if (fromId === undefined) {
      throw new DatabaseError('HF_HISTORY_PRUNED', `History from ${from.moment} on was pruned while the backup ran.`, {
        action: 'Run a full backup, and keep history for longer than the time between backups.',
        details: { from: from.moment },
      });
    }
    const tables = this.#facts.tables.map((t) => tableNamed(this.#bound, t.name));
    const spec = { fromId, toId: to.id, tenant: this.#tenant, tables, snapshot: to.snapshot };
    await readLog(this.#client, this.#bound, spec, {
      arenas,
      cut: this.#chunkBytes,
      take: (part) => {
        rawBytes += part.bytes;
        run.write('log', part, (object) => objects.push(object));
      },
    });
    await run.settled();
    return { objects, rawBytes };
  }

  /** Runs a step and keeps its result. */
  async #step<T>(step: string, work: () => Promise<T>): Promise<T> {
    const began = performance.now();
    try {
      const result = await work();
      await this.#note(step, 'ok', performance.now() - began);
      return result;
    } catch (error) {
      await this.#note(step, 'failed', performance.now() - began, describeError(error)).catch(() => {}); // the step's error counts
      throw error;
    }
  }

  #note(step: string, result: StepResult, milliseconds?: number, detail?: unknown): Promise<void> {
    const line = { backup: this.#id, tenant: this.#tenant, step, result, detail };
    return logStep(this.#client, milliseconds === undefined ? line : { ...line, milliseconds });
  }
}

/** `20261121T085752123Z-full-9f3ac1`: sorts by time. */
function backupId(startedAt: string, type: BackupType): string {
  const time = startedAt.replace(/[-:.]/g, '').replace(/\d{3}Z$/, 'Z');
  return `${time}-${type.replace('_', '-')}-${randomBytes(3).toString('hex')}`;
}
