/** How an answer ends: as a page for a person, as one object, or as a stream that is written already. */
import { page } from '../../core/history/travel/stream.ts';
import type { Placed } from '../../core/history/travel/types.ts';
import { dim } from '../output.ts';
import type { Report } from '../report.ts';
import { csvLine, emit } from './emit.ts';
import { type OutputOptions, outputOf } from './options.ts';

export interface Answer<T> {
  readonly items: AsyncIterable<Placed<T>>;
  /** What `--json` has besides the items. */
  readonly head: Readonly<Record<string, unknown>>;
  /** Name of the items in `--json`. */
  readonly name: string;
  readonly csv: { readonly head: readonly string[]; readonly fields: (item: T) => readonly unknown[] };
  /** What a person reads. */
  readonly text: (items: readonly T[]) => string;
}

export async function finish<T>(options: OutputOptions, answer: Answer<T>): Promise<Report> {
  const { streamed, limit } = outputOf(options);
  if (streamed) {
    const line = options.csv ? (item: T) => csvLine(answer.csv.fields(item)) : (item: T) => `${JSON.stringify(item)}\n`;
    const { next } = await emit(answer.items, limit, line, options.csv ? csvLine(answer.csv.head) : '');
    if (next) process.stderr.write(`There is more: --after ${next}\n`);
    return { json: null, text: '', silent: true };
  }
  const { items, next } = await page(answer.items, limit!);
  const more = next ? `\n${dim(`There is more: --after ${next}`)}` : '';
  return { json: { ...answer.head, [answer.name]: items, next }, text: answer.text(items) + more };
}
