import { afterAll, afterEach, beforeAll, expect, test } from '@jest/globals';
import { EventBridgeScheduler } from '../../adapters/aws/scheduler.ts';
import { scheduleTime } from '../../adapters/aws/scheduleTime.ts';
import { defineAll } from '../../core/schedules/define.ts';
import { applyFile } from '../../core/schedules/file.ts';
import { placeSchedules } from '../../core/schedules/place.ts';
import { addSchedule, changeSchedule, removeSchedule } from '../../core/schedules/store.ts';
import { FakeScheduler } from '../support/aws/fakeScheduler.ts';
import { dueMinutes, wallClock } from './oracle.ts';
import { scheduleWorld, type World } from './world.ts';

const ARN = 'arn:aws:states:eu-central-1:111122223333:stateMachine:holdfast-';
let world: World;
let fake: FakeScheduler;
const schedulerOf = (group = 'holdfast') =>
  new EventBridgeScheduler({
    group,
    role: 'arn:aws:iam::111122223333:role/holdfast-schedules',
    stateMachines: ARN,
    missed: 'arn:aws:sqs:eu-central-1:111122223333:missed',
    config: fake.config,
  });

beforeAll(async () => {
  world = await scheduleWorld();
  fake = await FakeScheduler.start('holdfast');
});
afterEach(async () => {
  await world.client.query('truncate holdfast.tenant_backup_schedules cascade');
  fake.schedules.clear();
  fake.calls.length = 0;
  fake.refuse = undefined;
});
afterAll(async () => {
  await fake.stop();
  await world.database.drop();
});

test.each([
  ['0 2 * * 0', 'cron(0 2 ? * SUN *)'],
  ['0 9-17 * * 1-5', 'cron(0 9-17 ? * MON,TUE,WED,THU,FRI *)'],
  ['0 0 * * 5-7', 'cron(0 0 ? * SUN,FRI,SAT *)'],
  ['*/20 */4 * * *', 'cron(0,20,40 0,4,8,12,16,20 * * ? *)'],
  ['0 5 1 1,2,3,7 *', 'cron(0 5 1 1-3,7 ? *)'],
  ['*/1 0-23 1-31 1-12 0-6', 'cron(* * * * ? *)'],
  ['59 23 31 * *', 'cron(59 23 31 * ? *)'],
])('%s is %s, and means the same', (cron, expression) => {
  expect(scheduleTime(cron, 'Europe/Paris').expression).toBe(expression);
  const [from, to] = [Date.UTC(2026, 0, 1) / 60_000, Date.UTC(2027, 2, 1) / 60_000];
  const walls = wallClock('UTC', from, to);
  const fields = expression.slice(5, -3).toLowerCase().replace('?', '*');
  const [theirs, ours] = [fields, cron].map((text) => dueMinutes(text, walls, from).join());
  expect(theirs === ours).toBe(true);
});

test('what goes by every hour is told in UTC, where the zone is whole hours away', () => {
  const zone = (cron: string, timeZone: string) => scheduleTime(cron, timeZone).timeZone;
  expect(zone('*/10 * * * *', 'Europe/Paris')).toBe('UTC');
  expect(zone('*/10 * * * *', 'Asia/Kolkata')).toBe('Asia/Kolkata');
  expect(zone('*/10 * * * 1-5', 'Europe/Paris')).toBe('Europe/Paris');
  expect(zone('0 2 * * *', 'Europe/Paris')).toBe('Europe/Paris');
});

test('made, changed, paused and removed; those of the file for the whole database are left to the stacks', async () => {
  const { client } = world;
  const by = { by: 'ada', now: Date.now() };
  await applyFile(client, defineAll([{ type: 'full', cron: '0 2 * * 0' }]), Date.now());
  const key = { tenant: 'one', name: 'full' };
  const { id } = await addSchedule(
    client,
    { tenant: 'one', type: 'full', cron: '30 2 * * *', timeZone: 'Europe/Paris' },
    'ada',
    Date.now(),
  );
  expect(await placeSchedules(client, schedulerOf())).toEqual({ put: 1, removed: 0 });
  expect([...fake.schedules]).toEqual([
    [
      `operator.${id}`,
      expect.objectContaining({
        ScheduleExpression: 'cron(30 2 * * ? *)',
        ScheduleExpressionTimezone: 'Europe/Paris',
        FlexibleTimeWindow: { Mode: 'FLEXIBLE', MaximumWindowInMinutes: 30 },
        State: 'ENABLED',
        Target: expect.objectContaining({ Arn: `${ARN}backup`, Input: '{"type":"full","tenant":"one"}' }),
      }),
    ],
  ]);
  expect(await placeSchedules(client, schedulerOf())).toEqual({ put: 0, removed: 0 });
  await changeSchedule(client, key, { cron: '0 3 * * *', spread: 0, enabled: false }, by);
  await placeSchedules(client, schedulerOf());
  expect(fake.schedules.get(`operator.${id}`)).toMatchObject({
    ScheduleExpression: 'cron(0 3 * * ? *)',
    FlexibleTimeWindow: { Mode: 'OFF' },
    State: 'DISABLED',
  });
  await removeSchedule(client, key, by);
  expect(await placeSchedules(client, schedulerOf())).toEqual({ put: 0, removed: 1 });
  expect(fake.schedules.size).toBe(0);
  expect(await placeSchedules(client, schedulerOf(), true)).toEqual({ put: 0, removed: 1 });
  await applyFile(client, defineAll([{ tenant: 'two', type: 'full', cron: '0 2 * * 0' }]), Date.now());
  expect(await placeSchedules(client, schedulerOf())).toEqual({ put: 1, removed: 0 });
  await applyFile(client, [], Date.now());
  expect(await placeSchedules(client, schedulerOf())).toEqual({ put: 0, removed: 1 });
});

test('what was told and not noted, or not told at all, is told by the next', async () => {
  const { client } = world;
  for (let i = 0; i < 130; i += 1) {
    await addSchedule(client, { name: `s${i}`, tenant: 'one', type: 'full', cron: '0 2 * * *' }, 'ada', Date.now());
  }
  const scheduler = schedulerOf();
  let left = 110;
  const dying = {
    put: async (schedule: Parameters<typeof scheduler.put>[0]) => {
      await scheduler.put(schedule);
      left -= 1;
      if (left === 0) throw new Error('killed');
    },
    remove: (id: string) => scheduler.remove(id),
  };
  await expect(placeSchedules(client, dying)).rejects.toThrow('killed');
  expect(fake.schedules.size).toBe(110);
  expect(await placeSchedules(client, scheduler)).toEqual({ put: 21, removed: 0 });
  expect(fake.schedules.size).toBe(130);
});

test('two that make the same schedule at once', async () => {
  const schedule = { cron: '0 2 * * *', timeZone: 'UTC', spread: 0, enabled: true, workflow: 'backup', input: {} };
  await Promise.all([1, 2, 3].map(() => schedulerOf().put({ id: '7', ...schedule })));
  expect(fake.schedules.size).toBe(1);
  await Promise.all([1, 2].map(() => schedulerOf().remove('7')));
  expect(fake.schedules.size).toBe(0);
});

test.each([
  [403, 'AccessDeniedException', 'HF_SCHEDULER_DENIED'],
  [400, 'ValidationException', 'HF_SCHEDULER_REFUSED'],
  [402, 'ServiceQuotaExceededException', 'HF_SCHEDULER_REFUSED'],
  [429, 'ThrottlingException', 'HF_SCHEDULER_UNAVAILABLE'],
  [500, 'InternalServerException', 'HF_SCHEDULER_UNAVAILABLE'],
])('%d %s is %s, and nothing is noted as told', async (status, name, code) => {
  await addSchedule(world.client, { tenant: 'one', type: 'full', cron: '0 2 * * *' }, 'ada', Date.now());
  fake.refuse = { status, name };
  await expect(placeSchedules(world.client, schedulerOf())).rejects.toMatchObject({ code });
  fake.refuse = undefined;
  expect(await placeSchedules(world.client, schedulerOf())).toEqual({ put: 1, removed: 0 });
});

test('another group, and a server that is not there', async () => {
  const schedule = {
    id: '1',
    cron: '0 2 * * *',
    timeZone: 'UTC',
    spread: 0,
    enabled: true,
    workflow: 'backup',
    input: {},
  };
  await expect(schedulerOf('other').put(schedule)).rejects.toMatchObject({ code: 'HF_SCHEDULER_REFUSED' });
  const config = { ...fake.config, endpoint: 'http://127.0.0.1:9' };
  const gone = new EventBridgeScheduler({ group: 'g', role: 'r', stateMachines: ARN, missed: 'm', config });
  await expect(gone.put(schedule)).rejects.toMatchObject({ code: 'HF_SCHEDULER_UNAVAILABLE' });
});
