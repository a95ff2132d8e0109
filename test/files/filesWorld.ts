import { createHash } from 'node:crypto';
import { mkdir, readdir, readFile, rm, writeFile } from 'node:fs/promises';
import { dirname, join } from 'node:path';
import { afterAll, beforeAll, beforeEach } from '@jest/globals';
import { DirectoryFiles } from '../../adapters/local/directoryFiles.ts';
import { backUpFiles, type FileBackupOptions } from '../../core/files/backup.ts';
import { restoreFiles } from '../../core/files/restore.ts';
import type { FileRestoreOptions, FileRestoreReport } from '../../core/files/restoreReport.ts';
import type { FileSource } from '../../core/files/source.ts';
import type { FileSet } from '../../core/files/types.ts';
import { createSample } from '../../sample/create.ts';
import { makeContext, makeWorld, type World } from '../snapshot/world.ts';
import { temporaryDirectory } from '../support/temporary.ts';

/** A voice note of the sample, and whose it is. */
export interface Note {
  readonly id: string;
  readonly path: string;
  readonly tenant: string;
  readonly person: string;
}

/** The sample with its voice notes as files. */
export interface FilesWorld extends World {
  readonly set: FileSet;
  notes(tenant?: string): Promise<Note[]>;
  backUp(options?: FileBackupOptions): ReturnType<typeof backUpFiles>;
  restore(options: FileRestoreOptions): Promise<FileRestoreReport>;
}

/** One database for a file of tests; each test has a store and a source of its own. */
export async function makeDatabase(): Promise<World> {
  const world = await makeWorld({
    directory: await temporaryDirectory(),
    fill: (client) => createSample(client, { tenants: 3, usersPerTenant: 3, entriesPerUser: 16 }),
  });
  await world.client.query('create table public.first_notes as table public.voice_notes');
  return world;
}

/** With the rows as they were at first, and a new store. */
export async function freshWorld(world: World, source: FileSource): Promise<FilesWorld> {
  await world.client.query(
    `update public.voice_notes n set storage_key = f.storage_key from public.first_notes f
      where f.id = n.id and f.storage_key <> n.storage_key`,
  );
  return worldOn({ ...world, ctx: await makeContext(world.directory, world.database.url, world.ctx.map) }, source);
}

/** What a test begins with: an empty folder, the world on it, and whose files belong into it. */
export interface Fresh {
  readonly folder: Folder;
  readonly world: FilesWorld;
  readonly notes: readonly Note[];
}

/** Of a file of tests, in one database: hands each test a folder and a store of its own. */
export function beforeEachFresh(fill: (fresh: Fresh) => Promise<void>): void {
  let database: World;
  beforeAll(async () => {
    database = await makeDatabase();
  });
  afterAll(() => database.database.drop());
  beforeEach(async () => {
    const folder = await Folder.make();
    const world = await freshWorld(database, folder.source());
    await fill({ folder, world, notes: await world.notes() });
  });
}

/** The same database and store with another source. */
export function worldOn(world: World, source: FileSource): FilesWorld {
  const { client, ctx } = world;
  const table = 'public.voice_notes';
  const set: FileSet = { name: 'recordings', from: '', table, column: 'storage_key', strip: '', source };
  return {
    ...world,
    set,
    async notes(tenant) {
      const { rows } = await client.query(
        `select n.id::text, n.storage_key as path, e.organization_id::text as tenant, e.author_id::text as person
           from public.voice_notes n join public.journal_entries e on e.id = n.entry_id
          where $1::text is null or e.organization_id::text = $1 order by n.storage_key collate "C"`,
        [tenant ?? null],
      );
      return rows;
    },
    backUp: (options) => backUpFiles(ctx, [set], options),
    restore: (options) => restoreFiles(ctx, [{ set, target: set.source, inPlace: set }], options),
  };
}

/** A folder with files, seen without the adapter. */
export class Folder {
  readonly path: string;

  private constructor(path: string) {
    this.path = path;
  }

  static async make(): Promise<Folder> {
    return new Folder(await temporaryDirectory());
  }

  source(settleMs = 0): DirectoryFiles {
    return DirectoryFiles.open(this.path, { settleMs });
  }

  async put(path: string, content: string | Uint8Array): Promise<void> {
    await mkdir(dirname(join(this.path, path)), { recursive: true });
    await writeFile(join(this.path, path), content);
  }

  get(path: string): Promise<string> {
    return readFile(join(this.path, path), 'utf8');
  }

  async delete(path: string): Promise<void> {
    await rm(join(this.path, path));
  }

  /** Path to hash of every file, what restores kept left out. */
  async state(): Promise<Record<string, string>> {
    const state: Record<string, string> = {};
    for (const entry of await readdir(this.path, { recursive: true, withFileTypes: true })) {
      if (!entry.isFile()) continue;
      const full = join(entry.parentPath, entry.name);
      const path = full.slice(this.path.length + 1);
      if (!path.startsWith('.holdfast-kept/')) state[path] = sha256(await readFile(full));
    }
    return state;
  }
}

export const sha256 = (content: string | Uint8Array): string => createHash('sha256').update(content).digest('hex');

/** Every byte of a directory store, as one text to search for what must not be in it. */
export async function everythingIn(directory: string): Promise<Buffer> {
  const pieces: Buffer[] = [];
  for (const entry of await readdir(directory, { recursive: true, withFileTypes: true })) {
    if (entry.isFile()) pieces.push(await readFile(join(entry.parentPath, entry.name)));
  }
  return Buffer.concat(pieces);
}
