/** A small database whose rows name files, and places for the files. */
import { mkdir, readFile, rm, writeFile } from 'node:fs/promises';
import { dirname, join } from 'node:path';
import type pg from 'pg';
import { S3Files } from '../../../adapters/aws/s3Files.ts';
import { DirectoryFiles } from '../../../adapters/local/directoryFiles.ts';
import { bind } from '../../../core/datamap/bind.ts';
import { parseMap } from '../../../core/datamap/parse.ts';
import type { FileSource } from '../../../core/files/source.ts';
import type { FileSet } from '../../../core/files/types.ts';
import { install } from '../../../core/history/install.ts';
import { VersionedS3 } from '../../../test/support/aws/versionedS3.ts';
import { createDatabase, type TestDatabase } from '../../../test/support/database.ts';

export const MAP = parseMap(`
version: 1
tenant: public.clubs(id)
person: public.people(id)
tables:
  public.clubs: {tenant: id, columns: {none: [id]}}
  public.people: {tenant: club_id, person: id, columns: {none: [id, club_id]}}
  public.uploads:
    tenant: club_id
    person: owner_id
    columns: {none: [club_id, owner_id], internal: [path]}
`);

export const TENANTS = ['a', 'b'] as const;
/** `null`: files of the club itself. */
export const personsOf = (tenant: string): (string | null)[] => [null, `${tenant}1`, `${tenant}2`, `${tenant}3`];

export async function openLab(serverUrl: string | undefined): Promise<{ database: TestDatabase; client: pg.Client }> {
  const database = await createDatabase({ prefix: 'files', ...(serverUrl === undefined ? {} : { serverUrl }) });
  const client = await database.client();
  await client.query(`
    create table public.clubs (id text primary key);
    create table public.people (id text primary key, club_id text not null references public.clubs);
    create table public.uploads (
      path text primary key, club_id text not null references public.clubs, owner_id text references public.people);
    insert into public.clubs values ('a'), ('b');
    insert into public.people select c.id || n, c.id from public.clubs c, generate_series(1, 3) n`);
  await install(client, await bind(client, MAP));
  return { database, client };
}

/** Where the files of a case are, seen from outside. */
export interface Place {
  readonly source: FileSource;
  readonly versions: boolean;
  /** Microseconds; it goes on by itself or by `tick`. */
  now(): bigint;
  tick(): Promise<void>;
  put(path: string, content: string): Promise<void>;
  delete(path: string): Promise<void>;
  read(path: string): Promise<string | undefined>;
  close(): Promise<void>;
}

export function folderPlace(directory: string): Place {
  return {
    source: DirectoryFiles.open(directory, { settleMs: 50 }),
    versions: false,
    now: () => BigInt(Date.now()) * 1000n + 999n,
    // File systems take times from a clock that ticks now and then.
    tick: () => new Promise((done) => setTimeout(done, 15)),
    async put(path, content) {
      await mkdir(dirname(join(directory, path)), { recursive: true });
      await writeFile(join(directory, path), content);
    },
    delete: (path) => rm(join(directory, path)),
    read: (path) => readFile(join(directory, path), 'utf8').catch(() => undefined),
    async close() {},
  };
}

export async function bucketPlace(): Promise<Place> {
  const bucket = await VersionedS3.start();
  const credentials = { accessKeyId: 'test', secretAccessKey: 'test' };
  const source = S3Files.open(bucket.location, { credentials, maxAttempts: 1 });
  let clock = Date.parse('2026-03-01T00:00:00Z');
  bucket.now = () => new Date(clock);
  return {
    source,
    versions: true,
    now: () => BigInt(clock) * 1000n,
    // S3 cuts its times to whole seconds.
    async tick() {
      clock += 2500;
    },
    async put(path, content) {
      bucket.put(`app/${path}`, content);
    },
    async delete(path) {
      bucket.delete(`app/${path}`);
    },
    read: async (path) => bucket.get(`app/${path}`)?.toString(),
    async close() {
      source.close();
      await bucket.stop();
    },
  };
}

export const setOn = (source: FileSource): FileSet => ({
  ...{ name: 'uploads', from: '', table: 'public.uploads', column: 'path', strip: '' },
  source,
});
