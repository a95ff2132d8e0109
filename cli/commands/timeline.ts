import { timeline } from '../../core/history/travel/timeline.ts';
import type { Bucket } from '../../core/history/travel/types.ts';
import { handle, type Register } from '../command.ts';
import { bold, count, dim, green, red, yellow } from '../output.ts';
import type { GlobalOptions } from '../report.ts';
import { withDatabase } from '../runtime.ts';
import { csvLine } from '../travel/emit.ts';
import { whenOf } from '../travel/options.ts';
import { short } from '../travel/show.ts';

interface Options extends GlobalOptions {
  readonly bucket: string;
  readonly from?: string;
  readonly to?: string;
  readonly tenant?: string;
  readonly table?: string;
  readonly user?: string;
  readonly zone: string;
  readonly csv: boolean;
}

export const timelineCommand: Register = (program) => {
  const command = program
    .command('timeline')
    .summary('how much was changed when, as a chart')
    .description('Counts changes by when they were committed, in buckets of time, and draws them.')
    .option('--bucket <length>', 'such as "15 minutes", "1 hour", "1 day", "1 week", "1 month"', '1 hour')
    .option('--from <time>', 'default: where history begins')
    .option('--to <time>', 'default: now')
    .option('-t, --tenant <id>', 'only changes of this tenant’s rows')
    .option('--table <name>', 'only this table')
    .option('--user <id>', 'only what this user did')
    .option('--zone <name>', 'where days, weeks and months begin', 'UTC')
    .option('--csv', 'comma-separated values with a header', false);
  handle<Options>(command, async (options) => {
    const from = whenOf(options.from, undefined, ['--from', '']);
    const to = whenOf(options.to, undefined, ['--to', '']);
    const found = await withDatabase(options, (client) =>
      timeline(client, {
        bucket: options.bucket,
        zone: options.zone,
        ...(from === undefined ? {} : { from }),
        ...(to === undefined ? {} : { to }),
        ...(options.tenant === undefined ? {} : { tenant: options.tenant }),
        ...(options.table === undefined ? {} : { table: options.table }),
        ...(options.user === undefined ? {} : { user: options.user }),
      }),
    );
    const text = options.csv ? csv(found.buckets) : chart(found.buckets, options.zone);
    return { json: { ...found, bucket: options.bucket, zone: options.zone }, text };
  });
};

const FIELDS = ['begins', 'inserts', 'updates', 'deletes', 'transactions', 'users'] as const;

const csv = (buckets: readonly Bucket[]): string =>
  [csvLine(FIELDS), ...buckets.map((b) => csvLine(FIELDS.map((f) => b[f])))].join('').trimEnd();

const WIDTH = 48;
/** A cell in eighths, so that small differences show. */
const EIGHTHS = ['', '▏', '▎', '▍', '▌', '▋', '▊', '▉'];

function chart(buckets: readonly Bucket[], zone: string): string {
  const total = (b: Bucket) => b.inserts + b.updates + b.deletes;
  const most = Math.max(1, ...buckets.map(total));
  const scale = (n: number) => (n / most) * WIDTH;
  const label = labeller(buckets, zone);
  const lines = buckets.map((b) =>
    `${label(b)}  ${String(total(b)).padStart(String(most).length)} ${bar(b, scale)}`.trimEnd(),
  );
  const sum = (field: 'inserts' | 'updates' | 'deletes' | 'transactions') => buckets.reduce((n, b) => n + b[field], 0);
  const legend = `${green('█')} ${count(sum('inserts'), 'insert')}  ${yellow('█')} ${count(sum('updates'), 'update')}  ${red('█')} ${count(sum('deletes'), 'delete')}`;
  return [
    ...lines,
    `${legend}  ${dim(`in ${count(sum('transactions'), 'transaction')}; times in ${bold(zone)}`)}`,
  ].join('\n');
}

/** Inserts, updates and deletes, one after the other; only the last cell is drawn in part. */
function bar(b: Bucket, scale: (n: number) => number): string {
  const paint = { inserts: green, updates: yellow, deletes: red };
  const parts = (['inserts', 'updates', 'deletes'] as const).filter((field) => b[field] > 0);
  let upTo = 0;
  let cells = 0;
  return parts
    .map((field, i) => {
      upTo += b[field];
      const end = scale(upTo);
      if (i < parts.length - 1) {
        const whole = Math.max(0, Math.round(end) - cells);
        cells += whole;
        return paint[field]('█'.repeat(whole));
      }
      const left = Math.max(0, end - cells);
      const eighths = EIGHTHS[Math.floor((left % 1) * 8)]!;
      const drawn = '█'.repeat(Math.floor(left)) + eighths;
      return paint[field](drawn === '' && cells === 0 ? '▏' : drawn);
    })
    .join('');
}

/** As much of the moment as tells the buckets apart, in the zone that they were cut in. */
function labeller(buckets: readonly Bucket[], zone: string): (b: Bucket) => string {
  const parts = (b: Bucket) =>
    new Intl.DateTimeFormat('sv-SE', { timeZone: zone, dateStyle: 'short', timeStyle: 'medium' }).format(
      new Date(b.begins),
    );
  const whole = buckets.every((b) => parts(b).endsWith(' 00:00:00'));
  const minutes = buckets.every((b) => parts(b).endsWith(':00'));
  const fine = buckets.some((b) => !/\.000000Z$/.test(b.begins));
  return (b) => (fine ? short(b.begins) : parts(b).slice(0, whole ? 10 : minutes ? 16 : 19));
}
