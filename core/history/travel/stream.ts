/** Answers as streams: one read-only transaction, a cursor on the server, and a batch at a time in memory. */
import type { Client } from '../../sql.ts';
import type { Text } from '../types.ts';
import { asRefusal } from './errors.ts';
import type { Page, Placed } from './types.ts';

/** What a batch may come to in memory; rows may be of any size, so the first one is small. */
const BATCH_BYTES = 1 << 20;
const FIRST_ROWS = 64;
const MOST_ROWS = 5000;

/** Every value as the server's own text: parsed, a timestamp would lose its microseconds and a numeric its digits. */
const RAW = { getTypeParser: () => (text: string) => text } as never;

export interface TextRows {
  readonly columns: readonly string[];
  readonly rows: readonly (readonly Text[])[];
}

/** One statement, values as texts. Refusals come as errors of the domain. */
export async function ask(client: Client, sql: string, values: readonly unknown[] = []): Promise<TextRows> {
  try {
    const result = await client.query({ text: sql, values: [...values], rowMode: 'array', types: RAW });
    return { columns: result.fields.map((f) => f.name), rows: result.rows as unknown as Text[][] };
  } catch (error) {
    throw asRefusal(error);
  }
}

/** The same, where the answer is one value. */
export async function askOne(client: Client, sql: string, values: readonly unknown[] = []): Promise<Text> {
  return (await ask(client, sql, values)).rows[0]?.[0] ?? null;
}

/**
 * Streams what a statement gives. `write` makes the statement inside of the transaction that runs it, so that both see one
 * snapshot. The client must not be in a transaction, and belongs to the stream until it ends; leaving early ends it.
 */
export async function* stream(
  client: Client,
  write: () => Promise<string>,
): AsyncGenerator<{ readonly columns: readonly string[]; readonly row: readonly Text[] }> {
  await client.query('begin isolation level repeatable read read only');
  try {
    // The whole answer is wanted, not its first rows; and compiling these statements takes longer than running them.
    await client.query("select set_config('cursor_tuple_fraction', '1', true), set_config('jit', 'off', true)");
    const sql = await write();
    await ask(client, `declare holdfast_travel no scroll cursor for ${sql}`);
    for (let count = FIRST_ROWS; ; ) {
      const { columns, rows } = await ask(client, `fetch ${count} from holdfast_travel`);
      let bytes = 1;
      for (const row of rows) {
        for (const value of row) bytes += value?.length ?? 0;
        yield { columns, row };
      }
      if (rows.length < count) break;
      count = Math.max(1, Math.min(MOST_ROWS, Math.floor((rows.length * BATCH_BYTES) / bytes)));
    }
  } finally {
    await client.query('rollback').catch(() => {}); // the connection may be gone, and the first error is the one to report
  }
}

/** Up to `limit` items of a stream, which was asked for one more so that it is known whether there are any. */
export async function page<T>(items: AsyncIterable<Placed<T>>, limit: number): Promise<Page<T>> {
  const taken: T[] = [];
  let last: (() => string) | undefined;
  for await (const { item, place } of items) {
    if (taken.length === limit) return { items: taken, next: last?.() ?? null };
    taken.push(item);
    last = place;
  }
  return { items: taken, next: null };
}
