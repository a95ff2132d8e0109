/** Every state, every branch of a choice and every catch of every definition is executed on the local engine. */
import { randomBytes } from 'node:crypto';
import { afterAll, beforeAll, expect, test } from '@jest/globals';
import type { LocalWorkflows, LocalWorkflowsProps } from '../../adapters/local/workflows.ts';
import type { TaskCall } from '../../adapters/local/workflowTasks.ts';
import { createRestorePoint } from '../../core/history/restorePoints.ts';
import type { Execution } from '../../core/ports.ts';
import { requestRestore } from '../../core/restore/requests/create.ts';
import { approveRequest, rejectRequest } from '../../core/restore/requests/decide.ts';
import { holdRequest, letGoOfRequest } from '../../core/restore/requests/settle.ts';
import { backup } from '../../core/snapshot/backup.ts';
import { listManifests, readManifest } from '../../core/snapshot/manifest.ts';
import { WORKFLOWS } from '../../functions/catalogue.ts';
import { tenants } from '../snapshot/world.ts';
import { SnapshotService } from '../support/aws/snapshotService.ts';
import { temporaryDirectory } from '../support/temporary.ts';
import { Coverage, catches } from './coverage.ts';
import { emptyVault, fewNotes, makeWorkflowWorld, putNotes, type TestContext, type WorkflowWorld } from './world.ts';

let world: WorkflowWorld;
let tenant: string;
const coverage = new Coverage();
beforeAll(async () => {
  world = await makeWorkflowWorld(await temporaryDirectory());
  await fewNotes(world); // before the point that restores go back to
  tenant = (await tenants(world.client))[0]!;
  await createRestorePoint(world.client, { name: 'good', tenant });
});
afterAll(() => world.database.drop());

interface Scenario {
  readonly input?: Readonly<Record<string, unknown>>;
  readonly ctx?: Partial<TestContext>;
  /** Changes what a task answers, or throws instead of it. */
  readonly around?: (call: TaskCall) => Promise<unknown>;
  readonly props?: Partial<LocalWorkflowsProps>;
  /** Called when the execution has ended, before the engine is closed. */
  readonly afterwards?: (engine: LocalWorkflows, execution: string) => Promise<unknown>;
}

async function run(workflow: string, scenario: Scenario = {}): Promise<Execution & { readonly output?: unknown }> {
  const ctx = { ...world.ctx, ...scenario.ctx };
  const engine = await world.open({
    context: async () => ctx,
    observe: coverage.observe,
    ...(scenario.around ? { around: scenario.around } : {}),
    ...scenario.props,
  });
  const execution = await engine.start(workflow, scenario.input ?? {}, { id: randomBytes(6).toString('hex') });
  const ended = await engine.ended(execution);
  await scenario.afterwards?.(engine, execution);
  await engine.close();
  return ended;
}

/** Throws under these names at these states, as often as they are tried. */
const failAt =
  (errors: Readonly<Record<string, string>>) =>
  async ({ state, run }: TaskCall): Promise<unknown> => {
    const name = errors[state];
    if (name === undefined) return run();
    if (name.endsWith('AlreadyExistsException')) await run(); // an attempt before this one had made it
    throw Object.assign(new Error(`injected at ${state}`), { name });
  };

/** The first answer of a state is another one. */
const onceAt = (state: string, change: (answer: never) => unknown) => {
  let first = true;
  return async (call: TaskCall): Promise<unknown> => {
    const answer = await call.run();
    if (call.state !== state || !first) return answer;
    first = false;
    return change(answer as never);
  };
};

const oldKey = () => ({ due: 1, keys: [{ keyId: 'local:1#1', use: 'wrap', days: 120 }] });
const again = (answer: object) => ({ ...answer, done: false });

test('backup: everything, with a replica that comes late and a function that runs out of time', async () => {
  const states = ['pending', 'complete'] as const;
  let asked = 0;
  const replicas = { state: async () => states[asked++] ?? 'complete' };
  const full = await run('backup', { ctx: { replicas }, around: onceAt('CopyChunks', again) });
  expect(full).toMatchObject({ status: 'succeeded', output: { type: 'full', replication: 'complete' } });
  expect((await run('backup', { input: { type: 'incremental', prove: false } })).status).toBe('succeeded');
});

test('backup: what was completed before the execution failed is not made again', async () => {
  const before = (await listManifests(world.ctx.store)).length;
  let failing = true;
  const ended = await run('backup', {
    input: { type: 'incremental', prove: false },
    around: (call) => (failing ? failAt({ Verify: 'HF_INJECTED' })(call) : call.run()),
    afterwards: async (engine, execution) => {
      expect(await engine.status(execution)).toMatchObject({ status: 'failed', error: { error: 'HF_INJECTED' } });
      failing = false;
      await engine.redrive(execution);
      expect(await engine.ended(execution)).toMatchObject({ status: 'succeeded', output: { type: 'incremental' } });
    },
  });
  expect(ended.status).toBe('failed');
  expect((await listManifests(world.ctx.store)).length).toBe(before + 1);
});

test('log-backup, in time and late', async () => {
  expect((await run('log-backup')).output).toMatchObject({ type: 'transaction_log' });
  const late = { state: async () => 'late' as const };
  expect((await run('log-backup', { ctx: { replicas: late } })).status).toBe('succeeded');
  expect(world.published).toContain('Holdfast: replication is late');
});

const asked = { kind: 'tenant', request: { tenant: '', to: { point: 'good' } }, by: 'ann', reason: 'a test' } as const;
const request = () => ({ ...asked, request: { ...asked.request, tenant } });
const requested = async () => {
  const { kind, by, reason } = asked;
  return (await requestRestore(world.ctx, { restore: { kind, request: request().request }, by, reason })).id;
};
const hurt = () =>
  world.client.query("update public.journal_entries set title = 'hurt' where organization_id = $1", [tenant]);
const hurtRows = async () =>
  (await world.client.query("select count(*)::int as n from public.journal_entries where title = 'hurt'")).rows[0].n;

test('restore: requested, approved while the workflow waits, applied, and told', async () => {
  await hurt();
  const approve = async (call: TaskCall) => {
    if (call.state === 'Look') {
      const { request } = call.input as { request: { id: string } };
      await approveRequest(world.ctx, { id: request.id, by: 'bob' }).catch(() => {}); // it was, at the look before
    }
    return call.run();
  };
  const done = await run('restore', { input: request(), around: approve });
  expect(done).toMatchObject({ status: 'succeeded', output: { state: 'applied', tenant } });
  expect(await hurtRows()).toBe(0);
  // Again, by its number: it is applied, and nothing is left to do.
  const { id } = done.output as { id: string };
  expect((await run('restore', { input: { id } })).output).toMatchObject({ state: 'applied', id });
});

test('restore: rejected; and being applied by another run, which does not end', async () => {
  await hurt();
  const rejected = await requested();
  await rejectRequest(world.ctx, { id: rejected, by: 'bob' });
  expect((await run('restore', { input: { id: rejected } })).status).toBe('succeeded');
  const busy = await requested();
  await approveRequest(world.ctx, { id: busy, by: 'bob' });
  await holdRequest(world.client, busy);
  await world.client.query(
    "update holdfast.restore_requests set state = 'running', applied_by = 'ann', started_at = now(), attempt = gen_random_uuid() where id = $1",
    [busy],
  );
  expect((await run('restore', { input: { id: busy } })).error?.error).toBe('HF_RESTORE_BUSY');
  await letGoOfRequest(world.client, busy);
  expect(await hurtRows()).toBeGreaterThan(0);
});

/** A database service of its own for each execution. */
function service(kind: 'cluster' | 'instance', change: (service: SnapshotService) => void = () => {}): Scenario {
  const snapshots = new SnapshotService();
  change(snapshots);
  return {
    ctx: { snapshots },
    props: { services: snapshots.services, values: { database: 'app', databaseKind: kind } },
  };
}

test('snapshot: of both kinds, copied, not copied, and failed on either side', async () => {
  for (const kind of ['cluster', 'instance'] as const) {
    const there = service(kind);
    const old = new Date(Date.now() - 30 * 86_400_000).toISOString();
    const snapshots = there.ctx!.snapshots as SnapshotService;
    for (const database of ['app', 'of-others']) {
      const id = `holdfast-${database}`;
      snapshots.snapshots.push({ id, database, region: 'eu-west-1', status: 'available', createdAt: old });
    }
    expect((await run('snapshot', there)).status).toBe('succeeded');
    const kept = snapshots.snapshots.map(({ region, database, status }) => `${region} ${database} ${status}`);
    expect(kept).toEqual(['eu-west-1 of-others available', 'eu-central-1 app available', 'eu-west-1 app available']);
    const failed = service(kind, (s) => {
      s.outcome = 'failed';
    });
    expect((await run('snapshot', failed)).error?.error).toBe('HF_SNAPSHOT_FAILED');
  }
  const alone = service('cluster', (s) => {
    s.otherRegion = false;
  });
  expect((await run('snapshot', alone)).status).toBe('succeeded');
  const copy = service('cluster');
  const broken = { ...copy, around: onceAt('CopyAcross', () => ({ status: 'failed' })) };
  expect((await run('snapshot', broken)).error?.error).toBe('HF_SNAPSHOT_FAILED');
});

test('cleanup: in one go, in two, and with something that would not go', async () => {
  expect((await run('cleanup')).status).toBe('succeeded');
  const half = (answer: { report: object }) => ({ ...answer, report: again(answer.report) });
  expect((await run('cleanup', { around: onceAt('Expire', half) })).status).toBe('succeeded');
  expect((await run('cleanup', { around: onceAt('Files', again) })).status).toBe('succeeded');
  const stuck = (answer: { report: object }) => ({ ...answer, report: { ...answer.report, attention: 1 } });
  expect((await run('cleanup', { around: onceAt('Expire', stuck) })).status).toBe('succeeded');
  expect(world.published).toContain('Holdfast: cleanup needs attention');
  expect(world.published).not.toContain('Holdfast: a key is due to be changed');
  expect((await run('cleanup', { around: onceAt('Keys', oldKey) })).status).toBe('succeeded');
  expect(world.published).toContain('Holdfast: a key is due to be changed');
});

test('retention: in one go, in two, and with something that would not go', async () => {
  const half = (answer: { report: object }) => ({ ...answer, report: again(answer.report) });
  const stuck = (answer: { report: object }) => ({ ...answer, report: { ...answer.report, attention: 1 } });
  const { databaseUrl: _, ...ctx } = world.ctx;
  const alone = { context: async () => ctx as TestContext };
  expect((await run('retention', { props: alone })).output).toMatchObject({ done: true, removed: 0 });
  expect((await run('retention', { props: alone, around: onceAt('Expire', half) })).status).toBe('succeeded');
  expect((await run('retention', { props: alone, around: onceAt('Expire', stuck) })).status).toBe('succeeded');
  expect(world.published).toContain('Holdfast: retention of the copy needs attention');
});

test('integrity-check: a sound store passes; an object that is gone fails it', async () => {
  expect((await run('integrity-check')).output).toMatchObject({ faults: 0, trail: true });
  const { manifest } = await backup(world.ctx, { type: 'full' });
  await world.client.query('update holdfast.tenant_backups set legal_hold = true where id = $1', [manifest.id]);
  const { name } = manifest.objects[0]!;
  const bytes = await world.ctx.store.get(name);
  await world.ctx.store.delete(name);
  const ended = await run('integrity-check', { input: { last: 1 } });
  expect(ended.error).toMatchObject({ error: 'HF_INTEGRITY', cause: expect.stringContaining('1 faults in backups') });
  await world.ctx.store.put(name, bytes);
});

test('air-gap: what is missing is pulled, manifests last; then nothing is left to pull', async () => {
  const vault = emptyVault(await temporaryDirectory());
  const ctx = { store: vault };
  const all = (await listManifests(world.ctx.store)).length;
  const first = await run('air-gap', { ctx, around: onceAt('PullBatch', again) });
  expect(first.output).toMatchObject({ backups: all, lock: null }); // a directory has none
  expect((await run('air-gap', { ctx })).output).toMatchObject({ backups: 0 });
  const [ref] = await listManifests(vault);
  expect((await readManifest({ store: vault, keys: world.ctx.keys }, ref!)).totals.rows).toBeGreaterThan(0);
});

test('config-backup: kept when it has changed, and only then', async () => {
  expect((await run('config-backup')).output).toMatchObject({ changed: true });
  expect((await run('config-backup')).output).toMatchObject({ changed: false });
});

/** Three days on, when the backups that were scheduled for a tenant have not come. */
async function owing(): Promise<Scenario> {
  await world.client.query("delete from holdfast.tenant_backup_schedules where name = 'owed'");
  await world.client.query(
    "insert into holdfast.tenant_backup_schedules (name, tenant, type, cron) values ('owed', 'someone', 'full', '0 2 * * *')",
  );
  const { settings, clock } = world.ctx;
  return {
    ctx: { settings: { ...settings, schedules: [] }, clock: { now: () => clock.now() + 3n * 86_400_000_000n } },
  };
}

test('watch: a backup that has not come is told of once', async () => {
  const later = await owing();
  const told = () =>
    world.published.filter((subject) => subject === 'Holdfast: a scheduled backup has not come').length;
  const { output } = await run('watch', later);
  expect(output).toMatchObject({ owed: 1, noticed: 1, first: [{ schedule: 'owed', tenant: 'someone', type: 'full' }] });
  expect((await run('watch', later)).output).toMatchObject({ owed: 1, noticed: 0, first: [] });
  expect(told()).toBe(1);
});

test('files: with all missing, in two goes and with a replica that comes late; then with all there', async () => {
  const states = ['pending', 'late'] as const;
  let asked = 0;
  const replicas = { state: async () => states[asked++] ?? 'late' };
  const first = await run('files', { ctx: { replicas }, around: onceAt('CopyFiles', again) });
  expect(first.output).toMatchObject({ files: 0, replication: 'late' });
  expect((first.output as { attention: number }).attention).toBeGreaterThan(0);
  expect(world.published).toContain('Holdfast: files are missing or unreadable');
  await putNotes(world);
  const second = await run('files', { input: { itemFiles: 5 } });
  expect(second.output).toMatchObject({ attention: 0, replication: 'none' });
  expect(world.published).toContain('Holdfast: file backup complete');
});

/** What makes an execution come by a state that is to fail. */
async function pathTo(workflow: string, state: string): Promise<Scenario> {
  switch (workflow) {
    case 'backup':
      return { input: { type: state === 'Copy' ? 'full' : 'incremental', prove: state === 'RestoreTest' } };
    case 'log-backup':
      return { ctx: { replicas: { state: async () => 'late' } } };
    case 'restore': {
      const id = await requested();
      if (state === 'Apply' || state === 'Notify') await approveRequest(world.ctx, { id, by: 'bob' });
      if (state === 'NotApplied') await rejectRequest(world.ctx, { id, by: 'bob' });
      return { input: { id } };
    }
    case 'snapshot':
      return service(state.endsWith('Instance') ? 'instance' : 'cluster');
    case 'config-backup':
      return { ctx: { configuration: `${world.ctx.configuration}# ${randomBytes(8).toString('hex')}\n` } };
    case 'watch':
      return owing();
    case 'files':
      if (state !== 'NotifyAttention') return {};
      return { around: onceAt('Summary', (answer: object) => ({ ...answer, attention: 1 })) };
    case 'air-gap':
      return { ctx: { store: emptyVault(await temporaryDirectory()) } };
    default:
      return {};
  }
}

const FIRST: Readonly<Record<string, string>> = { snapshot: 'CreateCluster' };

test.each(WORKFLOWS.map(({ name }) => name))(
  '%s: whatever is thrown, wherever, is caught and recorded',
  async (name) => {
    const first = FIRST[name] ?? catches(name)[0]!.state;
    for (const { state, error, inside } of catches(name)) {
      const scenario = await pathTo(name, state);
      const errors: Record<string, string> = { [inside ?? state]: error };
      if (state === 'RecordFailure' || state === 'NotifyFailure') errors[first] = 'HF_INJECTED';
      const attention = onceAt('Expire', (answer: { report: object }) => ({
        ...answer,
        report: { ...answer.report, attention: 1 },
      }));
      const due = onceAt('Keys', oldKey);
      const around = (call: TaskCall) =>
        state === 'ExpireMore' && call.state === 'Expire'
          ? onceAt('Expire', (answer: { report: object }) => ({ ...answer, report: again(answer.report) }))(call)
          : errors[call.state] === undefined
            ? (call.state === 'Keys' ? due : (scenario.around ?? attention))(call)
            : failAt(errors)(call);
      const ended = await run(name, { ...scenario, around });
      const harmless = state.startsWith('Notify') && state !== 'NotifyFailure';
      const expected = harmless || state === 'NotApplied' || error.startsWith('Rds.') ? 'succeeded' : 'failed';
      expect({ state, status: ended.status }).toEqual({ state, status: expected });
      if (expected === 'failed') expect(ended.error?.error).toBe('HF_INJECTED');
    }
  },
);

test('nothing was left out', () => {
  expect(coverage.missing()).toEqual([]);
});

test('no backup is left as running, and each failed execution has its line', async () => {
  const { rows } = await world.client.query("select id from holdfast.tenant_backups where status = 'running'");
  expect(rows).toEqual([]);
  const lines = await world.client.query(
    "select step, count(*)::int as n, count(distinct detail ->> 'execution')::int as executions from holdfast.tenant_backup_logs where step like 'workflow:%' group by step",
  );
  expect(lines.rows.length).toBe(WORKFLOWS.filter(({ place }) => !place).length);
  for (const { n, executions } of lines.rows) expect(n).toBe(executions);
});
