import { execFileSync } from 'node:child_process';
import { existsSync } from 'node:fs';
import { chmod, mkdtemp, readFile, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { expect, test } from '@jest/globals';
import { EmbeddedServer } from '../../adapters/local/embedded.ts';
import { createSchema } from '../../core/schema/create.ts';
import { schemaDrift } from '../../core/schema/drift.ts';
import { readSchema } from '../../core/schema/read.ts';
import { createDatabase } from '../support/database.ts';

/** Debian's package of another major version, where it is installed. */
const BIN = '/usr/lib/postgresql/15/bin';
const withPeer = existsSync(join(BIN, 'pg_dump')) && existsSync(join(BIN, 'initdb')) ? test : test.skip;

/** What pg_dump says of a schema, without its comments and its random `\restrict` tokens. */
const dump = (url: string): string =>
  execFileSync(join(BIN, 'pg_dump'), ['--schema-only', url], { encoding: 'utf8' })
    .split('\n')
    .filter((line) => !/^(--|\\(un)?restrict)/.test(line))
    .join('\n');

withPeer('pg_dump of PostgreSQL 15 sees no difference, and PostgreSQL 18 takes the record', async () => {
  const directory = await mkdtemp(join(tmpdir(), 'holdfast-peer-'));
  await chmod(directory, 0o711); // for the server's account, when this runs as root
  const peer = await EmbeddedServer.start({ directory, binDirectory: BIN, settings: { fsync: 'off' } });
  try {
    for (const file of ['../../sample/schema.sql', 'torture.sql']) {
      const source = await createDatabase({ serverUrl: peer.url() });
      const copy = await createDatabase({ serverUrl: peer.url() });
      const newer = await createDatabase();
      const client = await source.client();
      await client.query('set search_path = public');
      await client.query(await readFile(new URL(file, import.meta.url), 'utf8'));
      await client.query('drop schema if exists holdfast cascade');
      const record = await readSchema(client);
      for (const target of [await copy.client(), await newer.client()]) {
        expect((await createSchema(target, record, 'before-data')).notes).toEqual([]);
        expect((await createSchema(target, record, 'after-data')).notes).toEqual([]);
      }
      expect(dump(copy.url)).toBe(dump(source.url));
      // The newer server prints views in other words; nothing else may differ.
      const drift = schemaDrift(record, await readSchema(await newer.client()));
      expect(drift.filter((d) => !/view$/.test(d.kind))).toEqual([]);
      expect(drift.filter((d) => d.change !== 'changed')).toEqual([]);
      await Promise.all([source.drop(), copy.drop(), newer.drop()]);
    }
  } finally {
    await peer.stop();
    await rm(directory, { recursive: true, force: true });
  }
});
