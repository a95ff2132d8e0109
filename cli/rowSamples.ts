/** Some of the rows that a restore changes, short enough to be read at a glance. */
import type { RowSample } from '../core/restore/preview.ts';
import { bold, clip, dim, green, printable, red, yellow } from './output.ts';

const PER_TABLE = 3;
const VALUE = 40;
/** Columns shown of a row that comes back or goes. */
const COLUMNS = 4;

type Text = string | null | undefined;

/**
 * @param total how many rows of each table are changed, to say how many are not shown
 */
export function rowSamples(samples: readonly RowSample[], total: (table: string) => number): string[] {
  const byTable = Map.groupBy(samples, (sample) => sample.table);
  return [...byTable].flatMap(([name, rows]) => {
    const shown = rows.slice(0, PER_TABLE);
    const more = total(name) - shown.length;
    return [
      '',
      bold(printable(name)),
      ...shown.flatMap(describe),
      ...(more > 0 ? [dim(`  and ${more.toLocaleString('en')} more`)] : []),
    ];
  });
}

function describe(sample: RowSample): string[] {
  const record = clip(sample.record, VALUE);
  if (sample.action === 'insert') return [`  ${green('+')} ${record}  ${dim(leading(sample.after!))}`];
  if (sample.action === 'delete') return [`  ${red('-')} ${record}  ${dim(leading(sample.before!))}`];
  const columns = Object.keys(sample.after!);
  const width = Math.min(24, Math.max(...columns.map((name) => printable(name).length)));
  return [
    `  ${yellow('~')} ${record}`,
    ...columns.map((name) => {
      const [before, after] = difference(sample.before![name], sample.after![name]);
      return `      ${clip(name, 24).padEnd(width)}  ${dim(before)} → ${after}`;
    }),
  ];
}

const leading = (row: Readonly<Record<string, Text>>): string =>
  Object.entries(row)
    .filter(([, value]) => value !== null)
    .slice(0, COLUMNS)
    .map(([name, value]) => `${printable(name)}=${clip(value!, 24)}`)
    .join('  ');

/** Both values, clipped to where they differ: two long texts with one beginning would look the same. */
export function difference(before: Text, after: Text): [string, string] {
  if (typeof before !== 'string' || typeof after !== 'string') return [show(before), show(after)];
  let same = 0;
  while (same < before.length && before[same] === after[same]) same++;
  const from = Math.max(before.length, after.length) > VALUE && same > VALUE / 2 ? same - VALUE / 4 : 0;
  const part = (text: string) => clip(from > 0 ? `…${text.slice(from)}` : text, VALUE);
  return [part(before) || "''", part(after) || "''"];
}

const show = (value: Text): string => (typeof value === 'string' ? clip(value, VALUE) || "''" : 'null');
