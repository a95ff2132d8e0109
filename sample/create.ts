/** Makes the sample database: schema, then data by COPY, then foreign keys and indexes. */
import { readFile } from 'node:fs/promises';
import { Readable } from 'node:stream';
import { pipeline } from 'node:stream/promises';
import type pg from 'pg';
import { from as copyFrom } from 'pg-copy-streams';
import { ident } from '../core/sql.ts';
import { TABLES } from './rows.ts';
import { type SampleOptions, shapeOf } from './shape.ts';

export type { SampleOptions } from './shape.ts';

const AFTER_DATA = '-- After the data';

/**
 * Creates the sample schema in `public` of an empty database and fills it, in one transaction. The same options give
 * the same rows on every machine. The result is analyzed.
 * @returns rows per table
 */
export async function createSample(client: pg.Client, options: SampleOptions = {}): Promise<Record<string, number>> {
  const sql = await readFile(new URL('schema.sql', import.meta.url), 'utf8');
  const cut = sql.indexOf(AFTER_DATA);
  const shape = shapeOf(options);
  const counts: Record<string, number> = {};
  await client.query('begin');
  try {
    await client.query('set local search_path = public');
    await client.query("set local maintenance_work_mem = '256MB'");
    await client.query(sql.slice(0, cut));
    for (const { table, columns, rows } of TABLES) {
      const target = client.query(copyFrom(`copy public.${ident(table)} (${columns}) from stdin`));
      await pipeline(Readable.from(blocks(rows(shape))), target);
      counts[table] = target.rowCount;
    }
    counts.writing_days = await fillWritingDays(client);
    await client.query(sql.slice(cut));
    for (const table of ['teams', 'tags', 'comments']) {
      await client.query(
        `select setval(pg_get_serial_sequence($1, 'id'), greatest(1, (select max(id) from ${ident(table)})))`,
        [table],
      );
    }
    await client.query('commit');
  } catch (error) {
    await client.query('rollback').catch(() => {}); // the first error is the one to report
    throw error;
  }
  await client.query('analyze');
  return counts;
}

async function fillWritingDays(client: pg.Client): Promise<number> {
  const { rowCount } = await client.query(
    `insert into writing_days (user_id, day, entries, letters)
     select author_id, entry_date, count(*), sum(body_length) from journal_entries group by 1, 2 order by 2, 1`,
  );
  return rowCount ?? 0;
}

/** COPY in blocks of 256 KiB: a stream item per row would cost more than the rows. */
function* blocks(lines: Iterable<string>): Generator<Buffer> {
  let parts: string[] = [];
  let size = 0;
  for (const text of lines) {
    parts.push(text);
    size += text.length;
    if (size >= 262_144) {
      yield Buffer.from(parts.join(''));
      parts = [];
      size = 0;
    }
  }
  if (size > 0) yield Buffer.from(parts.join(''));
}
