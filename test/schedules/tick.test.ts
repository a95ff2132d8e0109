import { afterAll, beforeEach, expect, test } from '@jest/globals';
import { defineAll } from '../../core/schedules/define.ts';
import { applyFile } from '../../core/schedules/file.ts';
import { noticeOverdue } from '../../core/schedules/notice.ts';
import { overdue } from '../../core/schedules/overdue.ts';
import { listRuns, pruneRuns } from '../../core/schedules/runs.ts';
import { addSchedule, changeSchedule, listSchedules, removeSchedule } from '../../core/schedules/store.ts';
import { tick } from '../../core/schedules/tick.ts';
import { connect } from '../../core/sql.ts';
import { scheduleWorld } from './world.ts';

const world = await scheduleWorld();
const { client, engine } = world;
afterAll(() => world.database.drop());

const START = '2026-03-01T00:00Z';
const now = (time: string) => Date.parse(time);
const add = (written: Parameters<typeof addSchedule>[1], time = START) =>
  addSchedule(client, written, 'ada', now(time));

beforeEach(async () => {
  await client.query('truncate holdfast.tenant_backup_schedules cascade; delete from holdfast.tenant_backup_logs');
  engine.executions.clear();
  engine.starts = 0;
  engine.refuse = undefined;
});

test('a run begins when it is due, with its input, and ends as its workflow does', async () => {
  await add({ type: 'full', cron: '0 2 * * *', timeZone: 'Europe/Berlin' });
  await add({ tenant: 'one', type: 'incremental', cron: '0 2 * * *', timeZone: 'Europe/Berlin', spread: 0 });
  expect(await world.at('2026-03-01T00:59Z')).toMatchObject({
    planned: 0,
    started: [],
    nextLook: now('2026-03-01T01:00Z'),
  });
  const first = await world.at('2026-03-01T01:00Z');
  expect(first).toMatchObject({ planned: 2, missed: 0, skipped: 0, late: [], nextLook: now('2026-03-02T01:00Z') });
  expect([...engine.executions.values()].map(({ workflow, input }) => [workflow, input])).toEqual([
    ['backup', { type: 'full' }],
    ['backup', { type: 'incremental', tenant: 'one' }],
  ]);
  engine.end();
  expect((await world.at('2026-03-01T01:01Z')).succeeded).toHaveLength(2);
  await world.at('2026-03-02T01:00Z');
  engine.end('failed');
  const { failed } = await world.at('2026-03-02T01:09Z');
  expect(failed[0]).toMatchObject({
    schedule: 'full',
    error: { code: 'HF_STORE_FULL', message: 'The store is full.' },
  });
  expect((await world.runs()).map((run) => run.state)).toEqual(['succeeded', 'succeeded', 'failed', 'failed']);
  expect(await listRuns(client, { troubled: true, tenant: 'one' })).toEqual([
    expect.objectContaining({ state: 'failed', due: now('2026-03-02T01:00Z'), error: failed[1]!.error }),
  ]);
});

test('after an outage: one run, which says what it stands for, and is late', async () => {
  await add({ name: 'log', type: 'transaction_log', cron: '0 */4 * * *' });
  await world.at('2026-03-01T04:00Z');
  engine.end();
  expect(await world.at('2026-03-04T09:30Z')).toMatchObject({ planned: 1, missed: 18, late: [{ schedule: 'log' }] });
  expect(engine.executions.size).toBe(2);
  expect((await world.runs()).at(-1)).toEqual({ due: '03-04 08:00', state: 'running', missed: 18, late: true });
  engine.end();
  await world.at('2026-03-04T09:31Z');
  expect(engine.executions.size).toBe(2);
  const logged = (await world.logs()).filter((line) => line.step === 'scheduled-run').map(({ detail }) => detail);
  expect(logged).toEqual([
    expect.objectContaining({ what: 'missed', missed: 18, since: expect.stringContaining('2026-03-01T08:00') }),
    expect.objectContaining({ what: 'late', schedule: 'log' }),
  ]);
});

test('overlap: skip leaves out, queue lets one wait, and never do two run at once', async () => {
  await add({ name: 'skips', type: 'validate', cron: '*/10 * * * *', overlap: 'skip' });
  await add({ name: 'queues', type: 'cleanup', cron: '*/10 * * * *', overlap: 'queue' });
  for (const minute of [10, 20, 30]) await world.at(`2026-03-01T00:${minute}Z`);
  expect(engine.running).toHaveLength(2);
  expect((await listRuns(client)).map((r) => [r.schedule, r.state, r.reason]).sort()).toEqual([
    ['queues', 'running', null],
    ['queues', 'skipped', 'the run before it is still waiting to begin'],
    ['queues', 'waiting', null],
    ['skips', 'running', null],
    ['skips', 'skipped', 'the run before it has not ended'],
    ['skips', 'skipped', 'the run before it has not ended'],
  ]);
  engine.end();
  await world.at('2026-03-01T00:31Z');
  expect(engine.running.map((e) => e.workflow)).toEqual(['cleanup']);
});

test('backups of one tenant take turns; those of others go beside them, as many as may', async () => {
  await add({ name: 'full', type: 'full', cron: '0 2 * * *' });
  await add({ name: 'log', type: 'transaction_log', cron: '0 2 * * *' });
  for (const tenant of ['one', 'two']) await add({ tenant, type: 'full', cron: '0 2 * * *', spread: 0 });
  await world.at('2026-03-01T02:00Z', { concurrency: 2 });
  // The log is due soonest, and holds the lane of the whole database.
  expect(engine.running.map(({ workflow, input }) => [workflow, input.tenant])).toEqual([
    ['log-backup', undefined],
    ['backup', 'one'],
  ]);
  engine.end();
  await world.at('2026-03-01T02:05Z', { concurrency: 2 });
  expect(engine.running.map(({ input }) => input.tenant).sort()).toEqual(['two', undefined]);
});

test('whoever dies between two steps has done the run once when another comes', async () => {
  await add({ type: 'full', cron: '0 2 * * *' });
  await world.at('2026-03-01T01:00Z');
  // Claimed, and killed before the workflow was begun.
  await world.at('2026-03-01T02:00Z', { concurrency: 0 });
  await client.query("update holdfast.schedule_runs set state = 'running', started_at = now()");
  await world.at('2026-03-01T02:01Z');
  expect(engine.executions.size).toBe(1);
  // Begun, and killed before that was written down.
  await client.query('update holdfast.schedule_runs set execution = null');
  await world.at('2026-03-01T02:02Z');
  expect([engine.executions.size, engine.starts]).toEqual([1, 2]);
  // The engine lost its memory.
  engine.executions.clear();
  await world.at('2026-03-01T02:03Z');
  expect(engine.executions.size).toBe(1);
  engine.end();
  await world.at('2026-03-01T02:04Z');
  expect(await world.runs()).toEqual([{ due: '03-01 02:00', state: 'succeeded', missed: 0, late: false }]);
});

test('a workflow that cannot be begun is tried again, and fails in the end', async () => {
  await add({ type: 'full', cron: '0 2 * * *' });
  engine.refuse = Object.assign(new Error('no such state machine'), { code: 'StateMachineDoesNotExist' });
  const failed = [];
  for (const minute of ['00', '01', '02', '03', '05', '07', '15', '16']) {
    failed.push(...(await world.at(`2026-03-01T02:${minute}Z`)).failed);
  }
  expect(engine.starts).toBe(5);
  expect(failed).toMatchObject([{ error: { code: 'StateMachineDoesNotExist', message: 'no such state machine' } }]);
  expect((await world.runs()).map((run) => run.state)).toEqual(['failed']);
});

test('two schedulers at once make and begin each run once', async () => {
  for (let i = 0; i < 30; i += 1) {
    await add({ name: `s${i}`, tenant: `tenant ${i}`, type: 'full', cron: '0 2 * * *', spread: 0 });
  }
  const clients = await Promise.all([1, 2, 3, 4].map(() => world.database.client()));
  const options = { now: now('2026-03-01T02:00Z'), concurrency: 20 };
  const reports = await Promise.all(clients.map((other) => tick(other, engine, options)));
  expect(reports.reduce((sum, { planned }) => sum + planned, 0)).toBe(30);
  expect(engine.executions.size).toBe(20);
  expect((await world.runs()).filter((run) => run.state === 'running')).toHaveLength(20);
});

test('a schedule that cannot be planned does not hold up the others', async () => {
  await add({ name: 'good', type: 'cleanup', cron: '0 2 * * *' });
  await add({ name: 'bad', type: 'full', cron: '0 1 * * *' });
  await client.query("update holdfast.tenant_backup_schedules set time_zone = 'Mars/Olympus' where name = 'bad'");
  const report = await world.at('2026-03-01T02:00Z');
  expect(report).toMatchObject({
    planned: 1,
    faults: [{ schedule: 'bad', message: expect.stringContaining('Mars/Olympus') }],
  });
  expect((await world.at('2026-03-01T02:30Z')).faults).toEqual([]);
  expect((await world.at('2026-03-01T03:00Z')).faults).toHaveLength(1);
});

test('changing, pausing and removing', async () => {
  const key = { tenant: null, name: 'full' };
  await add({ type: 'full', cron: '0 2 * * *' });
  const by = { by: 'eve', now: now('2026-03-01T12:00Z') };
  // What the new expression would have had this morning is not owed.
  await changeSchedule(client, key, { cron: '0 3 * * *' }, by);
  expect(await world.at('2026-03-01T12:00Z')).toMatchObject({ planned: 0, nextLook: now('2026-03-02T03:00Z') });
  await changeSchedule(client, key, { enabled: false }, by);
  expect(await world.at('2026-03-02T03:00Z')).toMatchObject({ planned: 0, nextLook: null });
  await changeSchedule(client, key, { enabled: true }, { by: 'eve', now: now('2026-03-05T12:00Z') });
  await expect(changeSchedule(client, key, { cron: '0 3 31 2 *' }, by)).rejects.toMatchObject({
    code: 'HF_CRON_INVALID',
  });
  expect(await world.at('2026-03-06T03:00Z', { concurrency: 0 })).toMatchObject({ planned: 1, missed: 0 });
  await removeSchedule(client, key, by);
  await world.at('2026-03-06T03:01Z');
  expect(engine.executions.size).toBe(0);
  expect(await listSchedules(client)).toEqual([]);
  expect(await listRuns(client)).toMatchObject([{ state: 'skipped', reason: 'the schedule was removed' }]);
  const what = (await world.logs())
    .filter((line) => line.step === 'schedule')
    .map(({ detail }) => [detail.what, detail.by]);
  expect(what).toEqual([['added', 'ada'], ...Array.from({ length: 3 }, () => ['changed', 'eve']), ['removed', 'eve']]);
  await add({ type: 'full', cron: '0 2 * * *' });
  await expect(add({ type: 'full', cron: '0 4 * * *' })).rejects.toMatchObject({ code: 'HF_SCHEDULE_EXISTS' });
  await expect(removeSchedule(client, { tenant: 'one', name: 'full' }, by)).rejects.toMatchObject({
    code: 'HF_SCHEDULE_UNKNOWN',
  });
});

test('the file is applied: what is new, what is different, what is gone', async () => {
  const file = (...written: Parameters<typeof defineAll>[0]) => applyFile(client, defineAll(written), now(START));
  await add({ tenant: 'one', type: 'full', cron: '0 2 * * *' });
  const full = { type: 'full', cron: '0 2 * * *' };
  const log = { type: 'transaction_log', cron: '0 */4 * * *' };
  expect(await file(full, log)).toEqual({ added: ['full', 'transaction_log'], changed: [], removed: [] });
  await world.at('2026-03-01T02:00Z');
  expect(await file(full, log)).toEqual({ added: [], changed: [], removed: [] });
  expect(await file({ ...full, grace: 5 })).toEqual({ added: [], changed: ['full'], removed: ['transaction_log'] });
  expect((await listSchedules(client)).map((s) => [s.tenant, s.name, s.origin, s.grace])).toEqual([
    [null, 'full', 'file', 5],
    ['one', 'full', 'operator', 60],
  ]);
  // It is the same schedule: the run of 02:00 is not owed again.
  expect(await world.at('2026-03-01T02:01Z')).toMatchObject({ planned: 0 });
  const change = changeSchedule(client, { tenant: null, name: 'full' }, { grace: 9 }, { by: 'eve', now: 0 });
  await expect(change).rejects.toMatchObject({ code: 'HF_SCHEDULE_IN_FILE' });
});

test("a tenant's session sees its own schedules and runs, and changes none", async () => {
  for (const tenant of ['one', 'two']) await add({ tenant, type: 'full', cron: '0 2 * * *', spread: 0 });
  await add({ type: 'full', cron: '0 2 * * *' });
  await world.at('2026-03-01T02:00Z');
  const role = `tenant_${world.database.name}`;
  await client.query(`create role ${role}; grant usage on schema holdfast to ${role};
    grant all on holdfast.tenant_backup_schedules, holdfast.schedule_runs to ${role}`);
  const session = await world.database.client();
  await session.query("select set_config('holdfast.tenant', 'one', false)");
  await session.query(`set role ${role}`);
  for (const table of ['tenant_backup_schedules', 'schedule_runs']) {
    const { rows } = await session.query(`select tenant from holdfast.${table}`);
    expect(rows).toEqual([{ tenant: 'one' }]);
    expect((await session.query(`update holdfast.${table} set tenant = 'two'`)).rowCount).toBe(0);
    expect((await session.query(`delete from holdfast.${table}`)).rowCount).toBe(0);
  }
  await session.query('reset role');
  await client.query(`drop owned by ${role}; drop role ${role}`);
});

test('what has not come is told by the catalog, whoever was to start it', async () => {
  const began = '2026-03-01T00:00Z';
  await add({ tenant: 'one', type: 'full', cron: '0 2 * * *', spread: 30, grace: 60 });
  await add({ tenant: 'two', type: 'incremental', cron: '0 */4 * * *', spread: 0, grace: 60 });
  await add({ name: 'yearly', type: 'full', cron: '0 2 1 1 *' });
  await add({ type: 'cleanup', cron: '* * * * *' });
  await client.query('update holdfast.tenant_backup_schedules set changed_at = $1', [new Date(began)]);
  const late = async (time: string) =>
    (await overdue(client, now(time))).map((o) => [o.schedule.tenant, new Date(o.due).toISOString(), o.lastBackup]);
  const backup = (tenant: string | null, type: string, time: string, status = 'complete') =>
    client.query(
      `insert into holdfast.tenant_backups (id, tenant, type, status, epoch, started_at)
       values (gen_random_uuid()::text, $1, $2, $3, gen_random_uuid(), $4)`,
      [tenant, type, status, new Date(time)],
    );
  expect(await late('2026-03-01T03:29Z')).toEqual([]);
  expect(await late('2026-03-01T05:00Z')).toEqual([
    ['one', '2026-03-01T02:00:00.000Z', null],
    ['two', '2026-03-01T04:00:00.000Z', null],
  ]);
  await backup('one', 'full', '2026-03-01T02:01Z', 'failed');
  await backup('one', 'incremental', '2026-03-01T02:01Z');
  await backup('two', 'full', '2026-03-01T04:00:10Z', 'running');
  expect(await late('2026-03-01T05:00Z')).toEqual([['one', '2026-03-01T02:00:00.000Z', null]]);
  await backup(null, 'full', '2026-03-01T04:30Z');
  expect(await late('2026-03-01T05:00Z')).toEqual([]);
  expect(await late('2026-03-01T09:00Z')).toEqual([['two', '2026-03-01T08:00:00.000Z', now('2026-03-01T04:30Z')]]);
  expect((await late('2027-02-27T01:00Z')).map(([, due]) => due)).toContain('2027-01-01T02:00:00.000Z');
  await client.query('delete from holdfast.tenant_backups');
});

test('a backup that has not come is told of once, and again when one has come and the next has not', async () => {
  await add({ tenant: 'one', type: 'full', cron: '0 2 * * *', spread: 30, grace: 60 });
  await add({ tenant: 'two', type: 'full', cron: '0 2 * * *', spread: 30, grace: 60 });
  await client.query('update holdfast.tenant_backup_schedules set changed_at = $1', [new Date('2026-03-01T00:00Z')]);
  const look = async (time: string, by: string) => {
    const { owed, noticed } = await noticeOverdue(client, { now: now(time), by });
    return [owed, ...noticed.map(({ schedule, due }) => `${schedule.tenant} ${new Date(due).toISOString()}`)];
  };
  const backup = (tenant: string, time: string) =>
    client.query(
      `insert into holdfast.tenant_backups (id, tenant, type, status, epoch, started_at)
       values (gen_random_uuid()::text, $1, 'full', 'complete', gen_random_uuid(), $2)`,
      [tenant, new Date(time)],
    );
  expect(await look('2026-03-01T03:29Z', 'a')).toEqual([0]);
  await backup('two', '2026-03-01T02:10Z');
  expect(await look('2026-03-01T03:45Z', 'b')).toEqual([1, 'one 2026-03-01T02:00:00.000Z']);
  // The same look again, after it was cut off before anyone was told; then later ones, over days.
  expect(await look('2026-03-01T03:45Z', 'b')).toEqual([1, 'one 2026-03-01T02:00:00.000Z']);
  expect(await look('2026-03-01T04:00Z', 'c')).toEqual([1]);
  expect(await look('2026-03-02T04:00Z', 'd')).toEqual([2, 'two 2026-03-02T02:00:00.000Z']);
  expect(await look('2026-03-02T04:15Z', 'e')).toEqual([2]);
  await backup('one', '2026-03-02T05:00Z');
  expect(await look('2026-03-02T05:15Z', 'f')).toEqual([1]);
  expect(await look('2026-03-03T04:00Z', 'g')).toEqual([2, 'one 2026-03-03T02:00:00.000Z']);
  const { rows } = await client.query(
    "select tenant, result, detail ->> 'noticedBy' as by from holdfast.tenant_backup_logs where step = 'schedule-owed' order by id",
  );
  expect(rows.map(({ tenant, result, by }) => `${tenant} ${result} ${by}`)).toEqual([
    'one failed b',
    'two failed d',
    'one failed g',
  ]);
  // Two at once: one of them is the first.
  await client.query('update holdfast.tenant_backup_schedules set owed_since = null, noticed_by = null');
  const other = await connect(world.database.url);
  const at = { now: now('2026-03-03T04:00Z') };
  const both = await Promise.all([
    noticeOverdue(client, { ...at, by: 'x' }),
    noticeOverdue(other, { ...at, by: 'y' }),
  ]).finally(() => other.end());
  expect(both.map(({ noticed }) => noticed.length).sort()).toEqual([0, 2]);
  await client.query('delete from holdfast.tenant_backups');
});

test("and so are backups of users' files, of which the log knows", async () => {
  await add({ tenant: 'one', type: 'files', cron: '30 2 * * *', spread: 0 });
  await client.query('update holdfast.tenant_backup_schedules set changed_at = $1', [new Date('2026-03-01T00:00Z')]);
  const late = async (time: string) => (await overdue(client, now(time))).map(({ lastBackup }) => lastBackup);
  const log = (run: string, tenant: string | null, step: string, result: string, time: string) =>
    client.query(
      'insert into holdfast.tenant_backup_logs (backup_id, tenant, step, result, at) values ($1, $2, $3, $4, $5)',
      [run, tenant, step, result, new Date(time)],
    );
  expect(await late('2026-03-01T03:29Z')).toEqual([]);
  expect(await late('2026-03-01T03:31Z')).toEqual([null]);
  await log('a', 'two', 'files', 'started', '2026-03-01T02:31Z');
  await log('a', 'two', 'files', 'ok', '2026-03-01T02:32Z');
  await log('b', 'one', 'files', 'started', '2026-03-01T02:31Z');
  await log('b', null, 'workflow:files', 'failed', '2026-03-01T02:40Z');
  expect(await late('2026-03-01T03:31Z')).toEqual([null]);
  // One that is at work does, until it must be dead.
  await log('c', 'one', 'files', 'started', '2026-03-01T02:41Z');
  expect(await late('2026-03-01T03:31Z')).toEqual([]);
  expect(await late('2026-03-02T02:42Z')).toEqual([null]);
  await log('d', null, 'files', 'started', '2026-03-01T02:50Z');
  await log('d', null, 'files', 'ok', '2026-03-01T04:00Z');
  expect(await late('2026-03-02T02:42Z')).toEqual([]);
  expect(await late('2026-03-02T03:31Z')).toEqual([now('2026-03-01T02:50Z')]);
});

test('runs that ended long ago are forgotten, and with the last of them what was removed', async () => {
  await add({ type: 'full', cron: '0 2 * * *' });
  await world.at('2026-03-01T02:00Z');
  engine.end();
  await world.at('2026-03-01T03:00Z');
  await removeSchedule(client, { tenant: null, name: 'full' }, { by: 'eve', now: now('2026-03-01T04:00Z') });
  expect(await pruneRuns(client, now('2026-04-01T00:00Z'))).toBe(0);
  expect(await pruneRuns(client, now('2026-04-06T00:00Z'))).toBe(1);
  expect((await client.query('select 1 from holdfast.tenant_backup_schedules')).rowCount).toBe(0);
});
