import type { Command } from 'commander';
import { parseMoment } from '../../core/moment.ts';
import { define } from '../../core/schedules/define.ts';
import { nextOccurrence } from '../../core/schedules/occurrences.ts';
import { cronOf, shareOf } from '../../core/schedules/plan.ts';
import { checkSchedulesInstalled, listSchedules } from '../../core/schedules/store.ts';
import type { Definition } from '../../core/schedules/types.ts';
import { positiveInteger } from '../arguments.ts';
import { handle } from '../command.ts';
import { table } from '../output.ts';
import type { GlobalOptions } from '../report.ts';
import { namedDatabase, settingsOf, withDatabase } from '../runtime.ts';
import { clock } from '../scheduleReport.ts';

interface Options extends GlobalOptions {
  readonly tenant?: string;
  readonly count: string;
  readonly cron?: string;
  readonly timeZone?: string;
  readonly after?: string;
}

/** Adds `next` to the group. */
export function nextCommand(group: Command): void {
  const command = group
    .command('next')
    .description('the next times at which something runs; or those of an expression that you want to try')
    .option('-t, --tenant <id>', 'those of one tenant')
    .option('--count <n>', 'how many', '20')
    .option('--cron <expression>', 'try this one, without making a schedule of it')
    .option('--time-zone <name>', 'with --cron (default: UTC)')
    .option('--after <time>', 'ISO 8601 (default: now)');
  handle<Options>(command, async (options) => {
    const wanted = positiveInteger(options.count, '--count');
    const after = startOf(options.after);
    const times = merged(await definitions(options), after, wanted);
    const rows = times.map(({ definition: d, due, start }) => [
      clock(start),
      clock(due, d.timeZone),
      d.timeZone,
      d.name,
      d.tenant,
    ]);
    const json = times.map(({ definition: { name, tenant, type, timeZone }, due, start }) => ({
      schedule: name,
      tenant,
      type,
      timeZone,
      due: new Date(due).toISOString(),
      start: new Date(start).toISOString(),
    }));
    const head = ['starts (UTC)', 'due there', 'zone', 'schedule', 'tenant'];
    return { json: { next: json }, text: rows.length > 0 ? table(head, rows) : 'Nothing is scheduled.' };
  });
}

async function definitions(options: Options): Promise<readonly Definition[]> {
  const { cron, timeZone, tenant } = options;
  if (cron !== undefined) {
    return [define({ name: 'tried', type: 'full', cron, ...(timeZone === undefined ? {} : { timeZone }) })];
  }
  const all =
    namedDatabase(options) === undefined
      ? (await settingsOf(options)).schedules
      : await withDatabase(options, async (client) => {
          await checkSchedulesInstalled(client);
          return listSchedules(client, { limit: Number.MAX_SAFE_INTEGER });
        });
  return all.filter((d) => d.enabled && (tenant === undefined || d.tenant === tenant));
}

interface Time {
  readonly definition: Definition;
  readonly due: number;
  readonly start: number;
}

/** The first `wanted` starts of all of them after `after`, in order of time. */
function merged(all: readonly Definition[], after: number, wanted: number): Time[] {
  const times: Time[] = [];
  for (const definition of all) {
    const share = shareOf(definition);
    let due = after - share;
    for (let i = 0; i < wanted; i += 1) {
      due = nextOccurrence(cronOf(definition.cron), definition.timeZone, due);
      times.push({ definition, due, start: due + share });
    }
    // Of many tenants' schedules, no more than can be shown are kept.
    if (times.length > 10 * wanted) times.sort(byStart).splice(wanted);
  }
  return times.sort(byStart).slice(0, wanted);
}

const byStart = (a: Time, b: Time): number => a.start - b.start;

const startOf = (text: string | undefined): number =>
  text === undefined ? Date.now() : Number(parseMoment(text) / 1000n);
