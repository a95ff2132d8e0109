/** The service and its commands, as processes of their own. */
import { type ChildProcess, spawn } from 'node:child_process';
import { once } from 'node:events';
import { appendFile, readFile, writeFile } from 'node:fs/promises';
import { afterAll, beforeAll, expect, test } from '@jest/globals';
import { BIN } from '../cli/run.ts';
import { createShop, INIT, type Shop } from '../cli/shop.ts';

// biome-ignore lint/suspicious/noExplicitAny: each event has its own shape
type Event = { event: string } & Record<string, any>;

/** Ends with the test, whatever becomes of it. */
const children: ChildProcess[] = [];

class Service {
  readonly child: ChildProcess;
  readonly events: Event[] = [];
  #text = '';
  #heard = () => {};

  constructor(shop: Shop) {
    this.child = spawn(process.execPath, [BIN, 'serve', '--json', '--port', '0'], {
      cwd: shop.cwd,
      env: { ...process.env, HOLDFAST_DATABASE_URL: shop.database.url },
      stdio: ['ignore', 'pipe', 'inherit'],
    });
    children.push(this.child);
    this.child.stdout!.on('data', (data) => {
      this.#text += data;
      const lines = this.#text.split('\n');
      this.#text = lines.pop()!;
      this.events.push(...lines.map((line) => JSON.parse(line) as Event));
      this.#heard();
    });
    this.child.once('exit', () => this.#heard());
  }

  async heard(event: string): Promise<Event> {
    for (;;) {
      const found = this.events.find((e) => e.event === event);
      if (found) return found;
      if (this.child.exitCode !== null) throw new Error(`it ended without ${event}: ${JSON.stringify(this.events)}`);
      await new Promise<void>((done) => {
        this.#heard = done;
      });
    }
  }

  async end(signal: NodeJS.Signals): Promise<number | null> {
    const exit = once(this.child, 'exit');
    this.child.kill(signal);
    return (await exit)[0] as number | null;
  }
}

let shop: Shop;
beforeAll(async () => {
  shop = await createShop();
  await shop.run(...INIT);
  await appendFile(
    `${shop.cwd}/holdfast.yaml`,
    'schedules:\n  - {type: cleanup, cron: "0 3 * * 0", time_zone: Europe/Paris}\n',
  );
  await shop.run('install');
});
afterAll(async () => {
  for (const child of children) child.kill('SIGKILL');
  await shop.database.drop();
});

test('what was due while it was down runs once, through a kill, and it stops in order', async () => {
  const made = await shop.run(
    ...['schedules', 'add', '--json', '-t', '1', '--type', 'full', '--cron', '*/15 * * * *'],
    ...['--name', 'often', '--spread', '0', '--by', 'ada'],
  );
  expect(made.json.schedules).toMatchObject([{ name: 'often', tenant: '1', origin: 'operator', changedBy: 'ada' }]);
  await shop.client.query("update holdfast.tenant_backup_schedules set planned_to = now() - interval '2 hours'");

  const first = new Service(shop);
  const { execution } = await first.heard('run.started');
  expect(first.events.find((e) => e.event === 'schedule.missed')?.missed).toBeGreaterThanOrEqual(6);
  await first.end('SIGKILL');

  const second = new Service(shop);
  const { status } = await second.heard('service.started');
  const left = `${shop.cwd}/holdfast-data/executions/config-backup.left.json`;
  const running = { workflow: 'config-backup', id: 'left', input: {}, status: 'running', startedAt: '', redrives: 0 };
  await writeFile(left, JSON.stringify(running));
  const other = await shop.run('serve', '--port', '0', '--json');
  expect([other.code, other.json.error.code]).toEqual([1, 'HF_SERVICE_RUNNING']);
  expect(JSON.parse(await readFile(left, 'utf8'))).toEqual(running); // not gone on with by who was refused
  expect(await second.heard('run.succeeded')).toMatchObject({ schedule: 'often', tenant: '1', execution });
  expect((await shop.run('list', '-t', '1', '--json')).json.backups).toHaveLength(1);

  await second.heard('schedules.applied');
  const get = async (path: string, headers = {}) => {
    const response = await fetch(`${status}${path}`, { headers });
    return { code: response.status, body: (await response.json()) as Record<string, unknown> };
  };
  expect(await get('/health')).toMatchObject({
    code: 200,
    body: { status: 'attention', schedules: 2, lastDay: { failed: 0 } },
  });
  expect((await get('/executions')).body.executions).toMatchObject([{ state: 'succeeded', execution }]);
  expect((await get('/schedules')).body.schedules).toMatchObject([
    { name: 'cleanup', origin: 'file' },
    { name: 'often' },
  ]);
  expect((await get('/nothing')).code).toBe(404);
  const runs = (await shop.run('schedules', 'runs', '--troubled', '--json')).json.runs;
  expect(runs).toMatchObject([{ schedule: 'often', state: 'succeeded', missed: expect.any(Number) }]);
  expect(await second.end('SIGTERM')).toBe(0);
  expect(second.events.at(-1)!.event).toBe('service.stopped');
}, 180_000);

test('schedules on the command line', async () => {
  const listed = await shop.run('schedules', 'list');
  expect(listed.stdout).toMatch(/cleanup +- +cleanup +0 3 \* \* 0 +Europe\/Paris .* holdfast\.yaml/);
  expect((await shop.run('schedules', 'change', 'often', '-t', '1', '--cron', '0 2 * * *', '--pause')).code).toBe(0);
  expect((await shop.run('schedules', 'list', '-t', '1')).stdout).toMatch(
    /often +1 +full +0 2 \* \* \* +UTC .* paused/,
  );
  expect((await shop.run('schedules', 'remove', 'often', '-t', '1')).code).toBe(0);
  const next = [
    'schedules',
    'next',
    '--cron',
    '30 2 * * *',
    '--time-zone',
    'Europe/Berlin',
    '--after',
    '2026-03-28T12:00:00Z',
  ];
  expect((await shop.run(...next, '--count', '1', '--json')).json.next).toMatchObject([
    { due: '2026-03-29T01:00:00.000Z' },
  ]);
  const file = await shop.runWith(
    { url: undefined },
    'schedules',
    'next',
    '--count',
    '1',
    '--after',
    '2026-03-28T12:00:00Z',
  );
  expect(file.stdout).toMatch(/2026-03-29 01:00 +2026-03-29 03:00 +Europe\/Paris +cleanup/);
});

test.each([
  [['schedules', 'add', '--type', 'full', '--cron', '0 2 * * *', '-t', '99'], 1, 'HF_TENANT_UNKNOWN'],
  [['schedules', 'add', '--type', 'full', '--cron', '0 2 * * *', '--grace', '90s'], 1, 'HF_SCHEDULE_INVALID'],
  [['schedules', 'change', 'cleanup'], 2, 'HF_ARGUMENT_INVALID'],
  [['schedules', 'remove', 'cleanup'], 1, 'HF_SCHEDULE_IN_FILE'],
  [['schedules', 'next', '--after', 'soon'], 2, 'HF_TIME_INVALID'],
  [['serve', '--sample'], 2, 'HF_ARGUMENT_INVALID'],
])('refuses %j', async (args, code, error) => {
  const before = await shop.client.query('select * from holdfast.tenant_backup_schedules order by id');
  const ran = await shop.run(...args, '--json');
  expect([ran.code, ran.json.error.code]).toEqual([code, error]);
  expect((await shop.client.query('select * from holdfast.tenant_backup_schedules order by id')).rows).toEqual(
    before.rows,
  );
});
