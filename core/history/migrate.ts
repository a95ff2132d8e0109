/** Applies the numbered files of sql/: each once, in order, inside the caller's transaction. */
import { createHash } from 'node:crypto';
import { readdir, readFile } from 'node:fs/promises';
import { BUNDLED } from '../bundled.ts';
import { DatabaseError } from '../errors.ts';
import type { Client } from '../sql.ts';

const FOLDER = new URL(BUNDLED ? './sql/' : '../../sql/', import.meta.url);

/**
 * Returns the names of the files that were applied.
 * @throws DatabaseError HF_SCHEMA_NEWER when the database was installed by a later version of Holdfast
 */
export async function migrate(client: Client): Promise<string[]> {
  const names = (await readdir(FOLDER)).filter((name) => /^\d{4}_\w+\.sql$/.test(name)).sort();
  const done = await applied(client);
  const unknown = [...done].filter((name) => !names.includes(name));
  if (unknown.length > 0) {
    throw new DatabaseError('HF_SCHEMA_NEWER', 'This database was installed by a later version of Holdfast.', {
      action: 'Use that version, or a newer one.',
      details: { unknown },
    });
  }
  const missing = names.filter((name) => !done.has(name));
  for (const name of missing) {
    const text = await readFile(new URL(name, FOLDER), 'utf8');
    await client.query(text);
    await client.query('insert into holdfast.migrations (name, sha256) values ($1, $2)', [
      name,
      createHash('sha256').update(text).digest('hex'),
    ]);
  }
  return missing;
}

async function applied(client: Client): Promise<Set<string>> {
  const { rows } = await client.query("select to_regclass('holdfast.migrations') is not null as yes");
  if (!rows[0].yes) return new Set();
  const done = await client.query('select name from holdfast.migrations');
  return new Set(done.rows.map((row) => row.name as string));
}
