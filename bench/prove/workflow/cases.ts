/** For each workflow: what is there before, and what must be there afterwards, whatever went wrong in between. */
import { cp } from 'node:fs/promises';
import { join } from 'node:path';
import type pg from 'pg';
import { DirectoryStore } from '../../../adapters/local/directoryStore.ts';
import { checkFiles } from '../../../core/files/check.ts';
import { cleanUpFiles } from '../../../core/files/cleanup.ts';
import { createRestorePoint } from '../../../core/history/restorePoints.ts';
import { restoreDatabase } from '../../../core/restore/database.ts';
import { backup } from '../../../core/snapshot/backup.ts';
import { cleanup } from '../../../core/snapshot/cleanup.ts';
import { listManifests, readManifest } from '../../../core/snapshot/manifest.ts';
import type { Manifest } from '../../../core/snapshot/types.ts';
import { validate } from '../../../core/snapshot/validate.ts';
import type { SnapshotService } from '../../../test/support/aws/snapshotService.ts';
import { createDatabase } from '../../../test/support/database.ts';
import { databaseDigest, folderDigest } from './digest.ts';
import { type Ended, same, succeeded } from './expect.ts';
import { backUpNotes, files } from './files.ts';
import type { WorkflowContext } from './world.ts';

export interface Place {
  /** Of the execution. */
  readonly id: string;
  readonly directory: string;
  readonly serverUrl: string;
  readonly databaseUrl: string;
  readonly client: pg.Client;
  readonly ctx: WorkflowContext;
}

export interface Scenario {
  readonly workflow: string;
  /** Of several kinds of input. */
  readonly name: string;
  /** Makes what is to be there, and gives the input and what is to be checked afterwards. */
  prepare(place: Place): Promise<{
    readonly input: Readonly<Record<string, unknown>>;
    readonly check: (ended: Ended) => Promise<void>;
  }>;
}

const write = (client: pg.Client): Promise<unknown> =>
  client.query("update public.journal_entries set title = title || '.' where length(body) % 5 = 1");

async function manifests(ctx: Pick<WorkflowContext, 'store' | 'keys'>): Promise<Manifest[]> {
  return Promise.all((await listManifests(ctx.store)).map((ref) => readManifest(ctx, ref)));
}

/** Restored into a database of its own, it holds what the live one holds. */
async function restores({ serverUrl, databaseUrl, ctx }: Place, store = ctx.store): Promise<void> {
  const target = await createDatabase({ serverUrl, prefix: 'restored' });
  try {
    await restoreDatabase({ ...ctx, store }, { targetUrl: target.url });
    same(await databaseDigest(target.url), await databaseDigest(databaseUrl), 'restored database');
  } finally {
    await target.drop();
  }
}

async function soundBackups(place: Place, expected: readonly string[]): Promise<void> {
  const all = await manifests(place.ctx);
  same(
    all.map(({ type }) => type),
    expected,
    'backups in the store',
  );
  for (const manifest of all) same((await validate(place.ctx, manifest, { deep: true })).faults, [], 'faults');
  for (const [index, manifest] of all.entries()) {
    if (index > 0) same(manifest.log.from, all[index - 1]!.log.to, 'the log goes on where the last one ended');
  }
  const { rows } = await place.client.query('select id, status from holdfast.tenant_backups order by id');
  same(
    rows.filter(({ status }) => status === 'complete').map(({ id }) => id),
    all.map(({ id }) => id),
    'the catalog',
  );
  same(rows.filter(({ status }) => status === 'running').length, 0, 'rows that are left as running');
  await restores(place);
}

const chunkBytes = 12_000;

const made = (type: 'full' | 'incremental'): Scenario => ({
  workflow: 'backup',
  name: type,
  async prepare(place) {
    if (type === 'incremental') await backup(place.ctx, { type: 'full' });
    await write(place.client);
    return {
      input: { type, chunkBytes, concurrency: 3 },
      check: async (ended) => {
        succeeded(ended);
        await soundBackups(place, type === 'full' ? ['full'] : ['full', 'incremental']);
        const { rows } = await place.client.query(
          "select proof ->> 'ok' as ok from holdfast.tenant_backups order by id desc limit 1",
        );
        same(rows[0].ok, 'true', 'the restore test');
      },
    };
  },
});

const log: Scenario = {
  workflow: 'log-backup',
  name: 'log',
  async prepare(place) {
    await backup(place.ctx, { type: 'full' });
    await write(place.client);
    return {
      input: {},
      check: async (ended) => {
        succeeded(ended);
        await soundBackups(place, ['full', 'transaction_log']);
      },
    };
  },
};

const restore: Scenario = {
  workflow: 'restore',
  name: 'tenant',
  async prepare({ id, client, databaseUrl }) {
    const { rows } = await client.query('select id::text from public.organizations order by id limit 1');
    const tenant = rows[0].id as string;
    const point = `good ${id}`;
    await createRestorePoint(client, { name: point, tenant });
    const before = await databaseDigest(databaseUrl);
    const trail = async () => Number((await client.query('select count(*) as n from holdfast.trail')).rows[0].n);
    const written = await trail();
    await client.query("update public.journal_entries set title = title || '!' where organization_id = $1", [tenant]);
    const hurt = (await trail()) - written;
    return {
      input: { kind: 'tenant', request: { tenant, to: { point } }, by: 'ann', reason: `proof ${id}` },
      check: async (ended) => {
        succeeded(ended);
        same(await databaseDigest(databaseUrl), before, 'the database after the restore');
        same((await trail()) - written, hurt * 2, 'changes in the trail');
        const { rows } = await client.query(
          'select state, count(*)::int as n from holdfast.restore_requests where starts_with(reason, $1) group by state',
          [`proof ${id}`],
        );
        same(rows, [{ state: 'applied', n: 1 }], 'requests');
      },
    };
  },
};

const NOTES = /^runs\//;

/** In the primary location users' files go too. */
const expire = (workflow: 'cleanup' | 'retention'): Scenario => ({
  workflow,
  name: 'retention',
  async prepare(place) {
    for (const type of ['full', 'incremental', 'full'] as const) {
      await write(place.client);
      await backup(place.ctx, { type });
      await backUpNotes(place, place.ctx, type);
    }
    // A day that is over: the newest alone is kept.
    await place.client.query('update holdfast.tenant_backups set started_at = started_at');
    const twin = join(place.directory, 'twin');
    await cp(join(place.directory, 'store'), twin, { recursive: true });
    const { daily, weekly, monthly } = place.ctx.settings.retention;
    const { databaseUrl: _, ...alone } = { ...place.ctx, store: DirectoryStore.open(twin) };
    const policy = { rules: [{ daily, weekly, monthly }], everyMomentForDays: daily };
    await cleanup(alone, { policy });
    if (workflow === 'cleanup') await cleanUpFiles({ ...place.ctx, store: alone.store }, policy);
    return {
      input: {},
      check: async (ended) => {
        succeeded(ended);
        const left = await folderDigest(join(place.directory, 'store'), NOTES);
        same(Object.keys(left).sort(), Object.keys(await folderDigest(twin, NOTES)).sort(), 'objects that are left');
        await restores(place);
      },
    };
  },
});

const integrity: Scenario = {
  workflow: 'integrity-check',
  name: 'sound',
  async prepare(place) {
    for (const type of ['full', 'incremental'] as const) await backup(place.ctx, { type });
    await backUpNotes(place, place.ctx, 'sound');
    const before = await folderDigest(join(place.directory, 'store'), NOTES);
    return {
      input: {},
      check: async (ended) => {
        succeeded(ended);
        same(ended.output, { parts: 3, faults: 0, trail: true }, 'the verdict');
        same(await folderDigest(join(place.directory, 'store'), NOTES), before, 'the store');
      },
    };
  },
};

const airGap: Scenario = {
  workflow: 'air-gap',
  name: 'pull',
  async prepare(place) {
    const source = { ...place.ctx, store: place.ctx.source };
    for (const type of ['full', 'incremental'] as const) {
      await write(place.client);
      await backup(source, { type, chunkBytes });
      await backUpNotes(place, source, type);
    }
    return {
      input: {},
      check: async (ended) => {
        succeeded(ended);
        const ignored = /^(runs|progress|files\/progress)\//;
        const [here, there] = await Promise.all(
          ['vault', 'store'].map((folder) => folderDigest(join(place.directory, folder), ignored)),
        );
        same(Object.entries(here!).sort(), Object.entries(there!).sort(), 'the vault');
        await restores(place, place.ctx.store);
        same((await checkFiles(place.ctx, { all: true, deep: true })).faults, [], "faults of users' files");
      },
    };
  },
};

const config: Scenario = {
  workflow: 'config-backup',
  name: 'changed',
  async prepare({ ctx }) {
    await backup(ctx, { type: 'full' });
    return {
      input: {},
      check: async (ended) => {
        succeeded(ended);
        const kept = new Set<string>();
        for await (const { name } of ctx.store.list('config/')) kept.add(name.slice(name.lastIndexOf('-')));
        same(kept.size, 1, 'configurations that were kept');
      },
    };
  },
};

const snapshot: Scenario = {
  workflow: 'snapshot',
  name: 'cluster',
  async prepare({ ctx }) {
    return {
      input: {},
      check: async (ended) => {
        succeeded(ended);
        const { snapshots } = ctx.snapshots as SnapshotService;
        same(
          snapshots.map(({ region, status }) => `${region} ${status}`).sort(),
          ['eu-central-1 available', 'eu-west-1 available'],
          'snapshots',
        );
      },
    };
  },
};

const watch: Scenario = {
  workflow: 'watch',
  name: 'owed',
  async prepare({ client, id }) {
    const tenants = [1, 2, 3].map((n) => `${id} ${n}`);
    await client.query(
      `insert into holdfast.tenant_backup_schedules (name, tenant, type, cron, changed_at)
       select 'nightly', tenant, 'full', '0 2 * * *', now() - interval '3 days' from unnest($1::text[]) tenant`,
      [tenants],
    );
    return {
      input: {},
      check: async (ended) => {
        succeeded(ended);
        same((ended.output as { noticed: number }).noticed, 3, 'what was told');
        const { rows } = await client.query(
          "select tenant from holdfast.tenant_backup_logs where step = 'schedule-owed' and tenant = any($1) order by 1",
          [tenants],
        );
        same(
          rows.map(({ tenant }) => tenant),
          tenants,
          'lines in the log',
        );
      },
    };
  },
};

export const SCENARIOS: readonly Scenario[] = [
  made('full'),
  made('incremental'),
  log,
  restore,
  expire('cleanup'),
  expire('retention'),
  integrity,
  airGap,
  files,
  config,
  snapshot,
  watch,
];
