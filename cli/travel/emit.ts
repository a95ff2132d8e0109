/** Writes rows to standard output as they come, as fast as the reader takes them. */
import type { Placed } from '../../core/history/travel/types.ts';

/** A value as CSV has it: NULL is empty, an empty text is quoted, as PostgreSQL's COPY writes and reads them. */
function csvField(value: unknown): string {
  if (value === null || value === undefined) return '';
  const text = typeof value === 'object' ? JSON.stringify(value) : String(value);
  return text === '' || /[",\r\n]/.test(text) || text === '\\.' ? `"${text.replaceAll('"', '""')}"` : text;
}

export const csvLine = (fields: readonly unknown[]): string => `${fields.map(csvField).join(',')}\n`;

/** @returns how many, and whether the limit ended them */
export async function emit<T>(
  items: AsyncIterable<Placed<T>>,
  limit: number | undefined,
  line: (item: T) => string,
  header = '',
): Promise<{ count: number; next: string | null }> {
  let closed = false;
  const leave = (error: NodeJS.ErrnoException) => {
    if (error.code !== 'EPIPE') throw error;
    closed = true; // the reader has seen enough, as `head` does
  };
  process.stdout.on('error', leave);
  process.stdout.write(header);
  let count = 0;
  let last: (() => string) | undefined;
  try {
    for await (const { item, place } of items) {
      if (closed || count === limit) return { count, next: last?.() ?? null };
      if (!process.stdout.write(line(item))) await drained();
      count += 1;
      last = place;
    }
    return { count, next: null };
  } finally {
    // A write that was begun may still fail.
    process.stdout.write('', () => process.stdout.off('error', leave));
  }
}

/** Until the reader has caught up, or is gone. */
const drained = (): Promise<void> =>
  new Promise((done) => {
    const settle = () => {
      for (const event of ENDS) process.stdout.off(event, settle);
      done();
    };
    for (const event of ENDS) process.stdout.on(event, settle);
  });
const ENDS = ['drain', 'close', 'error'] as const;
