/** Some of the rows that a restore changes, short enough to be read at a glance. */
import type { RowSample } from '../core/restore/preview.ts';
import { bold, clip, dim, green, printable, red, yellow } from './output.ts';

const PER_TABLE = 3;
const VALUE = 40;
/** Columns shown of a row that comes back or goes. */
const COLUMNS = 3;

type Text = string | null | undefined;

/**
 * @param tenant every row is this tenant's: columns that only say so are left out
 * @param total how many rows of each table are changed, to say how many are not shown
 */
export function rowSamples(samples: readonly RowSample[], tenant: string, total: (table: string) => number): string[] {
  const byTable = Map.groupBy(samples, (sample) => sample.table);
  return [...byTable].flatMap(([name, rows]) => {
    const shown = rows.slice(0, PER_TABLE);
    const more = total(name) - shown.length;
    return [
      '',
      bold(printable(name)),
      ...shown.flatMap((sample) => describe(sample, tenant)),
      ...(more > 0 ? [dim(`  and ${more.toLocaleString('en')} more`)] : []),
    ];
  });
}

function describe(sample: RowSample, tenant: string): string[] {
  const key = keyParts(sample.record);
  const record = clip(key.join(', '), key.length > 1 ? VALUE + 10 : VALUE);
  const row = (columns: Readonly<Record<string, Text>>) => dim(leading(columns, [...key, tenant]));
  if (sample.action === 'insert') return [`  ${green('+')} ${record}  ${row(sample.after!)}`];
  if (sample.action === 'delete') return [`  ${red('-')} ${record}  ${row(sample.before!)}`];
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

/** `["7", "x"]`, as composite keys are written in the trail, or one value as it is. */
function keyParts(record: string): string[] {
  if (!record.startsWith('["')) return [record];
  try {
    return (JSON.parse(record) as unknown[]).map(String);
  } catch {
    return [record]; // a text key that happens to begin so
  }
}

const leading = (row: Readonly<Record<string, Text>>, known: readonly string[]): string =>
  Object.entries(row)
    .filter(([, value]) => typeof value === 'string' && !known.includes(value))
    .slice(0, COLUMNS)
    .map(([name, value]) => `${printable(name)}=${clip(value!, 28)}`)
    .join('  ');

/** Both values, clipped to where they differ: two long texts with one beginning would look the same. */
export function difference(before: Text, after: Text): [string, string] {
  if (typeof before !== 'string' || typeof after !== 'string') return [show(before), show(after)];
  let same = 0;
  while (same < before.length && before[same] === after[same]) same++;
  const from = Math.max(before.length, after.length) > VALUE && same > VALUE / 2 ? same - VALUE / 2 : 0;
  const part = (text: string) => clip(from > 0 ? `…${text.slice(from)}` : text, VALUE);
  return [part(before) || "''", part(after) || "''"];
}

const show = (value: Text): string => (typeof value === 'string' ? clip(value, VALUE) || "''" : 'null');
