/** Reads rows of the trail as lines (leaf.ts). */
import type pg from 'pg';
import { RowArena } from '../../snapshot/arena.ts';
import { copyRows } from '../../snapshot/copyRows.ts';
import { LineBatch } from './lineBytes.ts';

const NEWLINE = 10;
/** Lines handed over at once. */
const LINES = 4000;
const ARENA_BYTES = 1 << 20;

/**
 * Runs a `copy (…) to stdout` and hands its lines over in arrays; the server waits while they are worked on. When `take`
 * throws, the connection is closed.
 */
export async function copyLines(
  client: pg.Client,
  sql: string,
  take: (lines: string[]) => Promise<void>,
): Promise<void> {
  const arena = new RowArena(ARENA_BYTES);
  let lines: string[] = [];
  // The arena may grow into another buffer; this one is looked at again when it has.
  let bytes = Buffer.from(arena.bytes.buffer);
  await copyRows(client, sql, arena, {
    row(start, stop) {
      if (bytes.buffer !== arena.bytes.buffer) bytes = Buffer.from(arena.bytes.buffer);
      lines.push(bytes.toString('utf8', start, stop - 1));
    },
    full: () => lines.length >= LINES,
    async swap() {
      const taken = lines;
      lines = [];
      await take(taken);
      arena.reset();
      return arena;
    },
  });
  if (lines.length > 0) await take(lines);
}

/** The same without texts: `take` gets the places of lines and of their fields. The batch is its own until it resolves. */
export async function copyLineBytes(
  client: pg.Client,
  sql: string,
  take: (batch: LineBatch) => Promise<void>,
): Promise<void> {
  const arena = new RowArena(ARENA_BYTES);
  const batch = new LineBatch();
  const taken = async () => {
    batch.bytes = Buffer.from(arena.bytes.buffer);
    batch.scan();
    await take(batch);
    batch.clear();
  };
  await copyRows(client, sql, arena, {
    row: (start, stop) => batch.add(start, stop - 1),
    full: () => batch.count >= LINES,
    async swap() {
      await taken();
      arena.reset();
      return arena;
    },
  });
  if (batch.count > 0) await taken();
}

/** Lines end in \n and in nothing else: values may hold any other character that some call the end of a line. */
export async function* splitLines(pieces: AsyncIterable<Buffer>): AsyncIterable<string[]> {
  let rest: Buffer | undefined;
  for await (const piece of pieces) {
    const bytes: Buffer = rest ? Buffer.concat([rest, piece]) : piece;
    // Only whole lines are decoded: a piece may end inside a character.
    const end = bytes.lastIndexOf(NEWLINE);
    rest = end + 1 < bytes.length ? bytes.subarray(end + 1) : undefined;
    if (end >= 0) yield bytes.toString('utf8', 0, end).split('\n');
  }
  if (rest) yield [rest.toString()];
}
