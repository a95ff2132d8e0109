import { type Command, Option } from 'commander';
import type pg from 'pg';
import { bind } from '../../core/datamap/bind.ts';
import { readMap } from '../../core/datamap/load.ts';
import { tenantExists, unknownTenant } from '../../core/datamap/tenants.ts';
import { ConfigError } from '../../core/errors.ts';
import type { WrittenSchedule } from '../../core/schedules/define.ts';
import { applyFile } from '../../core/schedules/file.ts';
import { overdue } from '../../core/schedules/overdue.ts';
import { listRuns } from '../../core/schedules/runs.ts';
import {
  addSchedule,
  changeSchedule,
  checkSchedulesInstalled,
  listSchedules,
  removeSchedule,
} from '../../core/schedules/store.ts';
import { JOB_TYPES, type Schedule } from '../../core/schedules/types.ts';
import type { Client } from '../../core/sql.ts';
import { positiveInteger } from '../arguments.ts';
import { handle, type Register } from '../command.ts';
import { seconds } from '../duration.ts';
import { bold, count, dim, table, yellow } from '../output.ts';
import { type ByOption, declareBy } from '../person.ts';
import { declarePlaces, type PlaceOptions, place } from '../placing.ts';
import type { GlobalOptions, Report } from '../report.ts';
import { namedDatabase, settingsOf, withDatabase } from '../runtime.ts';
import { clock, outcome, runJson, scheduleJson } from '../scheduleReport.ts';
import { nextCommand } from './schedulesNext.ts';

interface Written {
  readonly tenant?: string;
  readonly type?: string;
  readonly cron?: string;
  readonly timeZone?: string;
  readonly spread?: string;
  readonly grace?: string;
  readonly overlap?: string;
  readonly pause?: boolean;
  readonly resume?: boolean;
}

export const schedulesCommand: Register = (program) => {
  const group = program
    .command('schedules')
    .summary('what runs when: those of holdfast.yaml, and those made here')
    .description('Shows what runs when, and makes, changes and removes schedules beside those of holdfast.yaml.');

  const list = group
    .command('list')
    .description('every schedule, when it ran last and when it runs next')
    .option('-t, --tenant <id>', 'those of one tenant')
    .option('--limit <n>', 'how many', '1000');
  handle<{ tenant?: string; limit: string } & GlobalOptions>(list, async (options) => {
    const limit = positiveInteger(options.limit, '--limit');
    if (namedDatabase(options) === undefined) return fromFile(options);
    const asked = { limit, ...(options.tenant === undefined ? {} : { tenant: options.tenant }) };
    const schedules = await withSchedules(options, (client) => listSchedules(client, asked));
    return listed(schedules);
  });

  const runs = group
    .command('runs [schedule]')
    .description('what came due, and what became of it; latest first')
    .option('-t, --tenant <id>', 'those of one tenant')
    .option('--troubled', 'only what was missed, late, skipped or failed', false)
    .option('--limit <n>', 'how many', '50');
  handle<{ tenant?: string; troubled: boolean; limit: string } & GlobalOptions>(runs, async (options, name) => {
    const filter = {
      limit: positiveInteger(options.limit, '--limit'),
      troubled: options.troubled,
      ...(options.tenant === undefined ? {} : { tenant: options.tenant }),
      ...(name === undefined ? {} : { name }),
    };
    const found = await withSchedules(options, (client) => listRuns(client, filter));
    const rows = found.map((run) => [clock(run.due), run.schedule, run.tenant, clock(run.startedAt), outcome(run)]);
    const text =
      rows.length > 0 ? table(['due (UTC)', 'schedule', 'tenant', 'began', 'outcome'], rows) : 'No such run.';
    return { json: { runs: found.map(runJson) }, text };
  });

  const add = takesDefinition(group.command('add').description('makes a schedule; it counts from now on'))
    .requiredOption('--cron <expression>', 'minute, hour, day of the month, month, day of the week')
    .addOption(new Option('--type <type>', 'what to run').choices(JOB_TYPES).makeOptionMandatory())
    .option('-t, --tenant <id>', 'default: the whole database')
    .option('--name <name>', 'default: the type');
  handle<Written & { name?: string } & ByOption & GlobalOptions>(declareBy(add), async (options) => {
    const { tenant, name } = options;
    const written = {
      ...changesOf(options),
      ...(tenant === undefined ? {} : { tenant }),
      ...(name === undefined ? {} : { name }),
    } as WrittenSchedule;
    const made = await withSchedules(options, async (client) => {
      if (tenant !== undefined) await requireTenant(client, options, tenant);
      const schedule = await addSchedule(client, written, options.by, Date.now());
      await place(client, {});
      return schedule;
    });
    return listed([made], `${bold(made.name)} is made.`);
  });

  const change = takesDefinition(group.command('change <schedule>').description('changes what is named, from now on'))
    .option('--cron <expression>', 'minute, hour, day of the month, month, day of the week')
    .addOption(new Option('--type <type>', 'what to run').choices(JOB_TYPES))
    .option('--resume', 'let it run again')
    .option('-t, --tenant <id>', 'whose schedule it is');
  handle<Written & ByOption & GlobalOptions>(declareBy(change), async (options, name) => {
    const changes = changesOf(options);
    if (Object.keys(changes).length === 0) {
      throw new ConfigError('HF_ARGUMENT_INVALID', 'Nothing was named that should change.', {
        action: 'Pass what should be different, such as --cron "0 3 * * *" or --pause.',
      });
    }
    const changed = await withSchedules(options, async (client) => {
      const schedule = await changeSchedule(client, keyOf(options, name!), changes, {
        by: options.by,
        now: Date.now(),
      });
      await place(client, {});
      return schedule;
    });
    return listed([changed], `${bold(changed.name)} is changed.`);
  });

  const remove = group
    .command('remove <schedule>')
    .description('ends a schedule; what it ran stays in the list of runs')
    .option('-t, --tenant <id>', 'whose schedule it is');
  handle<{ tenant?: string } & ByOption & GlobalOptions>(declareBy(remove), async (options, name) => {
    const key = keyOf(options, name!);
    await withSchedules(options, async (client) => {
      await removeSchedule(client, key, { by: options.by, now: Date.now() });
      await place(client, {});
    });
    return { json: { removed: true, ...key }, text: `${bold(name!)} is removed.` };
  });

  nextCommand(group);

  const late = group
    .command('late')
    .description(
      'scheduled backups that have not come, by the catalog, whoever was to start them; exit code 1 when there are any',
    );
  handle<GlobalOptions>(late, async (options) => {
    const found = await withSchedules(options, (client) => overdue(client, Date.now()));
    const rows = found.map(({ schedule, due, lastBackup }) => [
      schedule.name,
      schedule.tenant,
      schedule.type,
      clock(due),
      clock(lastBackup),
    ]);
    const json = found.map(({ schedule, due, lastBackup }) => ({
      schedule: schedule.name,
      tenant: schedule.tenant,
      type: schedule.type,
      due: new Date(due).toISOString(),
      lastBackup: lastBackup === null ? null : new Date(lastBackup).toISOString(),
    }));
    const text =
      rows.length > 0
        ? table(['schedule', 'tenant', 'runs', 'due (UTC)', 'last backup (UTC)'], rows)
        : 'Every scheduled backup has come.';
    return { json: { late: json }, text, exitCode: rows.length > 0 ? 1 : 0 };
  });

  const placing = group
    .command('place')
    .description(
      'tells EventBridge Scheduler of what was made here; add, change and remove do it too where $HOLDFAST_SCHEDULE_… are set',
    )
    .option('--all', 'of everything anew, not only of what has changed', false);
  handle<PlaceOptions & { all: boolean } & GlobalOptions>(declarePlaces(placing), async (options) => {
    const report = await withSchedules(options, async (client) => {
      // No service does it there: from here on the catalog knows what is owed, and tenants of the file get their schedules.
      await applyFile(client, (await settingsOf(options)).schedules, Date.now());
      return place(client, options, options.all);
    });
    if (!report) {
      throw new ConfigError('HF_ARGUMENT_INVALID', 'No schedule group was named.', {
        action:
          'Pass --group, --role, --state-machines and --missed; on one machine, holdfast serve needs none of this.',
      });
    }
    return { json: report, text: `${count(report.put, 'schedule')} placed, ${report.removed} removed.` };
  });
};

const keyOf = ({ tenant }: { tenant?: string }, name: string) => ({ tenant: tenant ?? null, name });

const takesDefinition = (command: Command) =>
  command
    .option('--time-zone <name>', 'IANA name, such as Europe/Paris (default: UTC)')
    .option('--spread <duration>', 'spread the starts of many tenants over this long, e.g. 30m; 0 for none')
    .option('--grace <duration>', 'a run that has not begun after this long is late')
    .addOption(new Option('--overlap <policy>', 'when the run before has not ended').choices(['skip', 'queue']))
    .option('--pause', 'keep it, but do not run it');

/** Only what was named. */
function changesOf(options: Written): Partial<WrittenSchedule> {
  const minutes = (text: string, option: string) => (text === '0' ? 0 : seconds(text, option) / 60);
  const { type, cron, timeZone, overlap, spread, grace, pause, resume } = options;
  return {
    ...(type === undefined ? {} : { type }),
    ...(cron === undefined ? {} : { cron }),
    ...(timeZone === undefined ? {} : { timeZone }),
    ...(overlap === undefined ? {} : { overlap }),
    ...(spread === undefined ? {} : { spread: minutes(spread, '--spread') }),
    ...(grace === undefined ? {} : { grace: minutes(grace, '--grace') }),
    ...(pause ? { enabled: false } : resume ? { enabled: true } : {}),
  };
}

function withSchedules<T>(options: GlobalOptions, work: (client: pg.Client) => Promise<T>): Promise<T> {
  return withDatabase(options, async (client) => {
    await checkSchedulesInstalled(client);
    return work(client);
  });
}

async function requireTenant(client: Client, { config }: GlobalOptions, tenant: string): Promise<void> {
  const bound = await bind(client, await readMap(config));
  if (!(await tenantExists(client, bound, tenant))) throw await unknownTenant(client, bound, tenant, ConfigError);
}

function listed(schedules: readonly Schedule[], heading?: string): Report {
  const rows = schedules.map((s) => [
    s.name,
    s.tenant,
    s.type,
    s.cron,
    s.timeZone,
    clock(s.lastRun),
    s.enabled ? clock(s.nextRun) : 'paused',
    s.origin === 'file' ? 'holdfast.yaml' : s.changedBy,
  ]);
  const head = ['schedule', 'tenant', 'runs', 'cron', 'zone', 'last (UTC)', 'next (UTC)', 'by'];
  const waiting = schedules.some((s) => s.enabled && s.nextRun === null);
  const text = [
    ...(heading ? [heading] : []),
    rows.length > 0 ? table(head, rows) : 'There are no schedules. "holdfast serve" takes over those of holdfast.yaml.',
    ...(waiting ? [dim('Without a next time: no service has looked at it yet.')] : []),
  ];
  return { json: { schedules: schedules.map(scheduleJson) }, text: text.join('\n') };
}

/** With no database, what the file says is all there is. */
async function fromFile(options: GlobalOptions): Promise<Report> {
  const { schedules } = await settingsOf(options);
  const rows = schedules.map((s) => [s.name, s.tenant, s.type, s.cron, s.timeZone, s.enabled ? 'yes' : 'paused']);
  const text = [
    yellow(`No database was named: this is what ${options.config} says.`),
    table(['schedule', 'tenant', 'runs', 'cron', 'zone', 'enabled'], rows),
    count(rows.length, 'schedule'),
  ];
  return { json: { source: 'file', schedules }, text: text.join('\n') };
}
