/**
 * A run of a file backup. Rows say which files there are and whose they are; the source says what has changed; only that is read.
 * Contents are durable before the page that names them, pages before the manifest: a run is there as a whole or not at all.
 */
import type pg from 'pg';
import type { Context } from '../context.ts';
import { bind } from '../datamap/bind.ts';
import type { BoundMap } from '../datamap/types.ts';
import { ConfigError } from '../errors.ts';
import { formatMoment } from '../moment.ts';
import { inParallel } from '../restore/inParallel.ts';
import { checkDatabase, reservedTenant } from '../snapshot/checks.ts';
import { Keyring } from '../snapshot/keyring.ts';
import { openStore } from '../snapshot/store.ts';
import { SHARED } from '../snapshot/types.ts';
import { connect } from '../sql.ts';
import { Budget } from './budget.ts';
import { type FileFindings, Findings } from './findings.ts';
import { lockForBackup } from './locks.ts';
import { writeFileManifest } from './manifest.ts';
import { newRunId, pageName } from './names.ts';
import { NoteTaker, removeNotes } from './notes.ts';
import { allTenants, checkSet, ownedPaths } from './owners.ts';
import { openPrevious } from './previous.ts';
import { recordEnd, recordStart } from './record.ts';
import { sharesOf } from './shares.ts';
import { SourceIndex } from './sourceIndex.ts';
import { TenantRun } from './tenantRun.ts';
import {
  FILES_FORMAT,
  FILES_VERSION,
  type FileManifest,
  type FilePage,
  type FileSet,
  type FileSetSetting,
} from './types.ts';

export interface FileBackupOptions {
  /** @default every tenant, and files whose rows belong to none */
  readonly tenant?: string;
  /** Read every file, whether it seems to have changed or not. @default false */
  readonly reread?: boolean;
  /** A killed run reads again at most so many bytes, and what one page lists. @default 256 MiB */
  readonly noteBytes?: number;
}

export interface FileBackupReport extends FileFindings {
  readonly manifest: FileManifest;
}

/** Most tenants have a few files, and waiting for the next answer is most of the time. */
export const SHARES_AT_ONCE = 8;

/**
 * @throws ConfigError HF_FILES_NONE, HF_TABLE_UNKNOWN, HF_COLUMN_UNKNOWN, HF_TENANT_UNKNOWN, HF_TENANT_RESERVED; StoreError
 * HF_FILES_BUSY, HF_FILES_SOURCE and those of the store; KeyError; DatabaseError HF_NOT_INSTALLED, HF_ROWS_HIDDEN, …
 */
export async function backUpFiles(
  ctx: Context & { readonly databaseUrl: string },
  sets: readonly FileSet[],
  options: FileBackupOptions = {},
): Promise<FileBackupReport> {
  if (sets.length === 0) throw noSets();
  const client = await connect(ctx.databaseUrl, 'holdfast-files');
  try {
    const bound = await bind(client, ctx.map);
    for (const set of sets) checkSet(bound, set);
    const scope = options.tenant ?? null;
    // Rows that this role may not see would be files that are not backed up.
    await checkDatabase(client, bound, scope);
    const locks = await lockForBackup(client, scope);
    return await run(ctx, client, bound, sets, { ...options, scope, stillLocked: locks.mustHold });
  } finally {
    await client.end();
  }
}

async function run(
  ctx: Context,
  client: pg.Client,
  bound: BoundMap,
  sets: readonly FileSet[],
  options: FileBackupOptions & { readonly scope: string | null; readonly stillLocked: () => Promise<void> },
): Promise<FileBackupReport> {
  const { scope, reread = false } = options;
  const { id: store } = await openStore(ctx, { create: true });
  const startedAt = formatMoment(ctx.clock.now());
  const id = newRunId(startedAt);
  const keyring = new Keyring(ctx.store, ctx.keys, store);
  const reader = { store: ctx.store, persons: ctx.persons, keyring };
  const previous = await openPrevious(ctx, reader, store, scope);
  const everyone = await allTenants(client, bound);
  if (everyone.includes(SHARED)) throw reservedTenant();
  await recordStart(client, id, scope);
  const pages = new Map<string, FilePage[]>();
  const findings = new Findings();
  const asked = oneAtATime();
  const mustHold = () => asked(options.stillLocked);
  const notes = new NoteTaker(ctx, { scope, run: id, store, every: options.noteBytes, mustHold });
  const numbers = new Map<string, number>();
  const budget = new Budget();

  for (const set of sets) {
    // Rows of one tenant are few among all files: then each is asked for.
    const index = scope === null ? await SourceIndex.read(set.source) : undefined;
    const shares = await sharesOf(client, bound, [set], scope, everyone);
    ctx.progress.start(`files of ${set.name}`, index?.size ?? 0, 'steps');
    const made = await inParallel(shares, SHARES_AT_ONCE, async (share) => {
      const { tenant, part } = share;
      const known = await previous.known(share);
      const tenantRun = new TenantRun({
        ...{ ctx, keyring, set, share, run: id, index, findings, budget, reread, known },
        onPage: (page, bytes) => notes.add(tenant, page, bytes),
        nextPage: () => {
          const number = (numbers.get(tenant) ?? 0) + 1;
          numbers.set(tenant, number);
          return pageName(tenant, id, number);
        },
      });
      return (await tenantRun.back(await asked(() => ownedPaths(client, bound, set, tenant, everyone, part))))!;
    });
    for (const [i, { tenant }] of shares.entries()) {
      if (made[i]!.length > 0) pages.set(tenant, [...(pages.get(tenant) ?? []), ...made[i]!]);
    }
    for (const file of index?.unclaimed() ?? []) findings.unowned(set.name, file);
    ctx.progress.done();
  }

  await mustHold();
  const { totals, ...found } = findings.report();
  const manifest = await writeFileManifest(ctx, {
    format: FILES_FORMAT,
    version: FILES_VERSION,
    id,
    store,
    tenant: scope,
    startedAt,
    finishedAt: formatMoment(ctx.clock.now()),
    sets: describeSets(sets),
    tenants: Object.fromEntries(pages),
    totals,
  });
  await removeNotes(ctx.store, scope, id);
  await recordEnd(client, manifest);
  return { ...found, relisted: [...found.relisted, ...previous.damaged], manifest };
}

/** As a manifest says where files came from. */
export const describeSets = (sets: readonly FileSetSetting[]): FileManifest['sets'] =>
  Object.fromEntries(sets.map(({ name, from, table, column }) => [name, { source: from, table, column }]));

/** A connection takes one transaction at a time. */
export function oneAtATime(): <T>(work: () => Promise<T>) => Promise<T> {
  let last: Promise<unknown> = Promise.resolve();
  return (work) => {
    const mine = last.then(work);
    last = mine.catch(() => {}); // thrown to the one who asked
    return mine;
  };
}

export const noSets = (): ConfigError =>
  new ConfigError('HF_FILES_NONE', 'holdfast.yaml names no files.', {
    action: 'Add a section files: with a name, from:, table: and column: of each set; docs/files.md shows one.',
  });
