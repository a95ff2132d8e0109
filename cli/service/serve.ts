import { once } from 'node:events';
import { join, resolve } from 'node:path';
import { LocalScheduler } from '../../adapters/local/scheduler.ts';
import { systemClock } from '../../adapters/local/systemClock.ts';
import { LocalWorkflows } from '../../adapters/local/workflows.ts';
import { ConfigError } from '../../core/errors.ts';
import { connect } from '../../core/sql.ts';
import { nonNegativeInteger, positiveInteger } from '../arguments.ts';
import type { GlobalOptions, Report } from '../report.ts';
import { chores } from './chores.ts';
import { type ServiceDatabase, serviceDatabase } from './database.ts';
import { sayError, sayTick, sayTo } from './events.ts';
import { ensureSample } from './sample.ts';
import { startStatus } from './status.ts';
import { taskContext } from './taskContext.ts';

/** What `holdfast serve` was told. */
export interface ServeOptions extends GlobalOptions {
  readonly data: string;
  readonly port: string;
  readonly concurrency: string;
  readonly sample: boolean;
}

/** Steps of workflows end within this, or are left to be gone on with by the next start. */
const STOP_MS = 20_000;

/** Serves until it is told to stop. */
export async function serve(given: ServeOptions): Promise<Report> {
  const data = resolve(given.data);
  const port = nonNegativeInteger(given.port, '--port');
  const concurrency = positiveInteger(given.concurrency, '--concurrency');
  const stopped = stopSignal();
  const database = await serviceDatabase(given, data);
  try {
    const config = given.sample ? join(data, 'holdfast.yaml') : given.config;
    const options = { ...given, config, databaseUrl: database.url };
    if (given.sample) await makeSample(database, config);
    return await run(options, { database, data, port, concurrency, stopped });
  } finally {
    await database.stop();
  }
}

async function makeSample(database: ServiceDatabase, config: string): Promise<void> {
  if (database.urlFile === undefined) {
    throw new ConfigError('HF_ARGUMENT_INVALID', '--sample is for the embedded database only.', {
      action: 'Leave out --database-url and HOLDFAST_DATABASE_URL, or --sample.',
      details: { option: '--sample' },
    });
  }
  await ensureSample(database.url, config);
}

interface Service {
  readonly database: ServiceDatabase;
  readonly data: string;
  readonly port: number;
  readonly concurrency: number;
  readonly stopped: Promise<string>;
}

async function run(options: ServeOptions, { database, data, port, concurrency, stopped }: Service): Promise<Report> {
  const say = sayTo(options.json);
  const startedAt = Date.now();
  // What is wrong with the file, the keys or the store is said now, and not at night by the first run.
  await taskContext(options);
  const closers: (() => Promise<void>)[] = [];
  try {
    // First of all: what the other service runs is not gone on with by a second one.
    const scheduler = await LocalScheduler.open({
      databaseUrl: database.url,
      clock: systemClock,
      concurrency,
      onTick: (report) => sayTick(say, report),
      onError: (what, error) => sayError(say, what, error),
    });
    closers.push(() => scheduler.stop());
    const workflows = await LocalWorkflows.open({
      directory: join(data, 'executions'),
      context: () => taskContext(options),
      notifier: {
        publish: async (subject, message) => say('notice', { subject, message }, subject),
      },
    });
    closers.unshift(() => within(STOP_MS, workflows.close())); // when nothing more is begun
    scheduler.run(workflows, chores(options, workflows, say));
    const status = await startStatus({
      port,
      startedAt,
      scheduler: () => scheduler.status,
      withDatabase: async (work) => {
        const client = await connect(database.url, 'holdfast-status');
        try {
          return await work(client);
        } finally {
          await client.end();
        }
      },
    });
    closers.push(() => status.stop());
    say(
      'service.started',
      { status: status.url, database: database.description, config: options.config, urlFile: database.urlFile },
      [
        `Holdfast runs on ${database.description}.`,
        `  status    ${status.url}/health, /schedules, /executions`,
        `  schedules holdfast -c ${options.config} schedules list`,
        ...(database.urlFile ? [`  database  export HOLDFAST_DATABASE_URL="$(cat ${database.urlFile})"`] : []),
        '  stop      Ctrl-C, or SIGTERM',
      ].join('\n'),
    );
    const signal = await stopped;
    say('service.stopping', { signal }, `${signal}: stopping; what runs goes on at the next start`);
  } finally {
    for (const close of closers.reverse()) await close();
  }
  say('service.stopped', {}, 'Stopped.');
  return { json: null, text: '', silent: true };
}

/** The first signal stops in order, the second at once. */
async function stopSignal(): Promise<string> {
  const signals = ['SIGINT', 'SIGTERM'] as const;
  const signal = await Promise.race([...signals.map((name) => once(process, name).then(() => name)), orphaned()]);
  for (const name of signals) process.once(name, () => process.exit(130));
  return signal;
}

/** npm passes SIGTERM to a shell between it and us, which ends without passing it on. */
function orphaned(): Promise<string> {
  const parent = process.ppid;
  return new Promise((done) => {
    if (process.env.npm_lifecycle_event === undefined) return;
    setInterval(() => {
      if (process.ppid !== parent) done('The end of npm');
    }, 500).unref();
  });
}

/** Whoever takes longer is left behind: every step can be killed and run again. */
async function within(milliseconds: number, work: Promise<void>): Promise<void> {
  let timer: NodeJS.Timeout | undefined;
  const late = new Promise<void>((done) => {
    timer = setTimeout(done, milliseconds);
  });
  await Promise.race([work, late]);
  clearTimeout(timer);
}
