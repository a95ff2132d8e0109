/** Reads rows of the trail as lines (leaf.ts), a piece of the stream at a time. */
import type pg from 'pg';
import { to as copyTo } from 'pg-copy-streams';

const NEWLINE = 10;

/** Runs a `copy (…) to stdout` and yields its lines in arrays, as they arrive. */
export const copyLines = (client: pg.Client, sql: string): AsyncIterable<string[]> =>
  splitLines(client.query(copyTo(sql)) as AsyncIterable<Buffer>);

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
