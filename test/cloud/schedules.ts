/** Schedules of one tenant, made, changed and removed by the command line while everything runs. */
import assert from 'node:assert/strict';
import { execFile } from 'node:child_process';
import { join } from 'node:path';
import { promisify } from 'node:util';
import {
  GetScheduleCommand,
  type GetScheduleCommandOutput,
  ListSchedulesCommand,
  SchedulerClient,
} from '@aws-sdk/client-scheduler';
import { connect } from '../../core/sql.ts';
import { ROOT } from './emulator.ts';
import { ended, executionsOf, inputOf, machine, newExecution, start } from './executions.ts';
import { type CloudWorld, PRIMARY } from './world.ts';

const run = promisify(execFile);
const scheduler = new SchedulerClient({ region: PRIMARY });

export async function tenantSchedules(world: CloudWorld): Promise<void> {
  const tenant = await firstTenant(world);
  const holdfast = command(world);
  const own = ['-t', tenant];
  await holdfast('add', ...own, '--type', 'transaction_log', '--cron', '30 2 * * *', '--time-zone', 'Europe/Rome');
  const [name, ...others] = await placed();
  assert.deepEqual(others, []); // the file's are the stack's
  const made = await at(name!);
  assert.equal(made.ScheduleExpression, 'cron(30 2 * * ? *)');
  assert.equal(made.ScheduleExpressionTimezone, 'Europe/Rome');
  assert.equal(made.FlexibleTimeWindow?.MaximumWindowInMinutes, 30);
  assert.equal(made.Target?.Arn, machine('log-backup'));
  assert.deepEqual(JSON.parse(made.Target!.Input!), { tenant });
  assert.equal(made.Target?.DeadLetterConfig?.Arn, world.primary.scheduleMissedArn);

  await holdfast('change', 'transaction_log', ...own, '--pause');
  assert.equal((await at(name!)).State, 'DISABLED');
  // From now on every minute: it starts the workflow, which backs that tenant up.
  const before = await executionsOf('log-backup');
  await holdfast('change', 'transaction_log', ...own, '--resume', '--cron', '* * * * *', '--spread', '1m');
  assert.equal((await at(name!)).State, 'ENABLED');
  const execution = await newExecution('log-backup', 150, before);
  assert.deepEqual(await inputOf(execution), { tenant });
  await holdfast('remove', 'transaction_log', ...own);
  assert.deepEqual(await placed(), []);
  assert.equal((await ended(execution)).answer.tenant, tenant);

  // An edit of the database that nobody was told of: `place --all` says everything anew.
  await holdfast('place', '--all');
  assert.deepEqual(await placed(), []);
}

/** Before the first backup: a nightly backup of one tenant that nobody has made. */
export async function missingIsNoticed(world: CloudWorld): Promise<void> {
  const client = await connect(world.databaseUrl);
  try {
    await client.query(
      "insert into holdfast.tenant_backup_schedules (name, tenant, type, cron, changed_at) values ('nightly', $1, 'full', '0 2 * * *', now() - interval '3 days')",
      [await firstTenant(world)],
    );
    const look = async () => (await ended(await start('watch', {}))).answer;
    assert.deepEqual([(await look()).noticed, (await look()).noticed], [1, 0]);
    await client.query("delete from holdfast.tenant_backup_schedules where name = 'nightly'");
    assert.equal((await look()).owed, 0);
  } finally {
    await client.end();
  }
}

/** `holdfast schedules …`, told of the installation as docs/schedules.md says. */
function command(world: CloudWorld): (...words: string[]) => Promise<unknown> {
  const env = {
    ...process.env,
    HOLDFAST_DATABASE_URL: world.databaseUrl,
    HOLDFAST_SCHEDULE_GROUP: world.primary.scheduleGroup!,
    HOLDFAST_SCHEDULE_ROLE: world.primary.scheduleRoleArn!,
    HOLDFAST_SCHEDULE_MISSED: world.primary.scheduleMissedArn!,
    HOLDFAST_STATE_MACHINES: machine(''),
  };
  const options = ['-c', join(ROOT, 'sample/holdfast.yaml'), '--json'];
  return async (...words) => {
    const { stdout } = await run('node', [join(ROOT, 'bin/holdfast.mjs'), ...options, 'schedules', ...words], { env });
    return JSON.parse(stdout.trim().split('\n').at(-1)!);
  };
}

const at = (Name: string): Promise<GetScheduleCommandOutput> =>
  scheduler.send(new GetScheduleCommand({ GroupName: 'holdfast', Name }));

/** Names of those that were made at run time. */
async function placed(): Promise<string[]> {
  const { Schedules = [] } = await scheduler.send(new ListSchedulesCommand({ GroupName: 'holdfast' }));
  return Schedules.map(({ Name }) => Name!).filter((name) => name.startsWith('operator.'));
}

async function firstTenant(world: CloudWorld): Promise<string> {
  const client = await connect(world.databaseUrl);
  try {
    const { rows } = await client.query('select id::text from public.organizations order by id limit 1');
    return rows[0].id as string;
  } finally {
    await client.end();
  }
}
