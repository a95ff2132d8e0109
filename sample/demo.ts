/** The main job, told as a story: three tenants, one accident, one lost database, and both brought back exactly. */
import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import type pg from 'pg';
import { DirectoryStore } from '../adapters/local/directoryStore.ts';
import { EmbeddedServer } from '../adapters/local/embedded.ts';
import { KeyFile } from '../adapters/local/keyFile.ts';
import { noLedger } from '../adapters/local/noLedger.ts';
import { openPersonKeys } from '../adapters/local/personKeyDirectory.ts';
import { systemClock } from '../adapters/local/systemClock.ts';
import { bytes, duration } from '../cli/output.ts';
import type { Context } from '../core/context.ts';
import { bind } from '../core/datamap/bind.ts';
import { introspect } from '../core/datamap/introspect.ts';
import { propose } from '../core/datamap/propose.ts';
import { install } from '../core/history/install.ts';
import { formatMoment, parseMoment } from '../core/moment.ts';
import { silentProgress } from '../core/ports.ts';
import { restoreDatabase } from '../core/restore/database.ts';
import { type Digests, tenantDigest } from '../core/restore/digest.ts';
import { restoreTest } from '../core/restore/restoreTest.ts';
import { restoreTenant } from '../core/restore/tenant.ts';
import { backup } from '../core/snapshot/backup.ts';
import { connect, READ_SNAPSHOT, transaction } from '../core/sql.ts';
import { createSample } from './create.ts';
import { sampleMap } from './map.ts';
import { undoASession } from './session.ts';
import { Stage } from './stage.ts';
import { startTraffic } from './traffic.ts';

const OPERATOR = 'demo-operator';

async function demo(stage: Stage, directory: string): Promise<void> {
  const began = performance.now();
  stage.title('Holdfast', 'One tenant back to the second before. Everyone else keeps working.');

  stage.chapter('A database with three customers, at work');
  const server = await stage.step(
    'Start PostgreSQL',
    () => EmbeddedServer.start({ directory: join(directory, 'server') }),
    (s) => `a real server on port ${s.port}`,
  );
  try {
    await story(stage, directory, server);
  } finally {
    await server.stop();
  }
  stage.chapter('What it took');
  stage.table(
    ['step', 'time'],
    stage.times.map(({ label, milliseconds }) => [label, duration(milliseconds)]),
  );
  stage.say(
    `All in all ${duration(performance.now() - began)}. Everything was made in a temporary folder, which is gone now.`,
  );
}

async function story(stage: Stage, directory: string, server: EmbeddedServer): Promise<void> {
  const admin = await connect(server.url());
  await admin.query('create database journal');
  let client = await connect(server.url('journal'));
  const counts = await stage.step(
    'Fill the journal app',
    () => createSample(client, { tenants: 3, usersPerTenant: 12, entriesPerUser: 60, seed: 2026 }),
    (c) =>
      `${Object.values(c)
        .reduce((a, b) => a + b)
        .toLocaleString('en')} rows in ${Object.keys(c).length} tables`,
  );
  const { rows: tenants } = await client.query<{ id: string; name: string }>(
    'select id, name from public.organizations order by created_at, id',
  );
  const [victim, ...others] = tenants as [(typeof tenants)[0], ...typeof tenants];
  stage.say(`Customers: ${tenants.map((t) => t.name).join(', ')}. ${counts.users} people write, edit, tag and delete.`);

  stage.chapter('Protect it');
  const proposal = await stage.step(
    'Read the catalog',
    async () => propose(await introspect(client)),
    (p) => `tenant table ${p.map.tenants.table}, ${p.map.tables.length} tables mapped`,
  );
  stage.say('`holdfast init` writes this as holdfast.yaml; a person reviews it. Some of it:');
  stage.table(
    ['table', 'belongs to its tenant by', 'sealed for its author'],
    proposal.map.tables
      .filter((t) => /entries|segments|sessions|entry_tags/.test(t.name))
      .map((t) => [
        t.name,
        describeReach(t.tenant),
        Object.keys(t.columns)
          .filter((c) => t.columns[c]!.sealed)
          .join(', ') || '-',
      ]),
  );
  const map = sampleMap();
  await stage.step(
    'Install history',
    async () => install(client, await bind(client, map)),
    (r) => `${r.tables.length} tables are captured from now on`,
  );
  let traffic = await startTraffic(server.url('journal'), { writers: 3, seed: 1, think: 30 });

  stage.chapter('Back it up while people work');
  const keys = await KeyFile.create(join(directory, 'keys', 'root.json'));
  const store = DirectoryStore.open(join(directory, 'backups'));
  const ctx: Context = {
    databaseUrl: server.url('journal'),
    map,
    store,
    keys,
    persons: openPersonKeys(join(directory, 'person-keys'), store, keys),
    ledger: noLedger,
    clock: systemClock,
    progress: silentProgress,
  };
  const full = await stage.step(
    'Full backup',
    () => backup(ctx, { type: 'full' }),
    ({ manifest: { totals } }) =>
      `${totals.rows.toLocaleString('en')} rows, ${bytes(totals.rawBytes)} in ${bytes(totals.bytes)}, encrypted`,
  );
  const proof = await stage.step(
    'Restore test of that backup',
    () => restoreTest(ctx, full.manifest),
    (p) => `${p.tables.length} tables digested, ${p.foreignKeys} foreign keys hold`,
  );
  stage.proof('the backup restores', proof.ok);
  await sleep(1500);
  const morning = await traffic.stop();
  stage.say(`Meanwhile the app committed ${sum(morning.committed)} transactions.`);

  stage.chapter(`A bad script hits ${victim.name}`);
  // From here on the victim's people are at lunch, so that "exactly as before" can be checked by a digest.
  traffic = await startTraffic(server.url('journal'), {
    writers: 3,
    seed: 2,
    think: 20,
    tenants: others.map((t) => t.id),
  });
  await sleep(500);
  const healthy = await digests(client, ctx, victim.id);
  const moment = (await client.query<{ now: string }>(`select clock_timestamp()::text as now`)).rows[0]!.now;
  await sleep(700);
  const lost = await stage.step('The script runs', () => damage(client, victim.id));
  stage.alarm(
    `${lost.deleted} entries deleted with their voice notes and comments, ${lost.overwritten} overwritten, teams dissolved.`,
  );
  await sleep(700);
  stage.proof('its data is no longer what it was', !same(healthy, await digests(client, ctx, victim.id)));

  stage.chapter('Back to the second before, while the others write');
  const request = { tenant: victim.id, moment: parseMoment(moment), actor: { userId: OPERATOR } };
  const preview = await stage.step(
    'Preview',
    () => restoreTenant(ctx, { ...request, preview: true }),
    (p) => `${p.totals.inserted} to insert, ${p.totals.updated} to update, ${p.totals.deleted} to delete`,
  );
  stage.table(
    ['table', 'insert', 'update', 'delete'],
    Object.entries(preview.tables)
      .filter(([, c]) => c.inserted + c.updated + c.deleted > 0)
      .map(([name, c]) => [name, c.inserted, c.updated, c.deleted]),
  );
  await stage.step(
    `Restore ${victim.name}`,
    () => restoreTenant(ctx, { ...request, fingerprint: preview.fingerprint }),
    (r) => `as of ${formatMoment(parseMoment(moment)).slice(11, 23)} UTC, undo point ${r.restorePoint}`,
  );
  stage.proof(
    'every table of it has the digest that it had before the script',
    same(healthy, await digests(client, ctx, victim.id)),
  );
  const { rows: touched } = await client.query<{ organization: string | null; rows: number }>(
    'select organization, count(*)::int as rows from holdfast.trail where user_id = $1 group by 1',
    [OPERATOR],
  );
  stage.proof(
    `the restore wrote ${touched[0]?.rows.toLocaleString('en')} rows of ${victim.name}, and none of anyone else`,
    touched.length === 1 && touched[0]!.organization === victim.id,
  );
  stage.chapter('One session undone, a colleague’s later edits kept');
  await undoASession(stage, ctx, client, victim.id);
  await sleep(500);
  const noon = await traffic.stop();
  stage.say(`The other two customers committed ${sum(noon.committed)} transactions meanwhile and noticed nothing.`);

  stage.chapter('Then the whole database is gone');
  const log = await stage.step(
    'Log backup',
    () => backup(ctx, { type: 'transaction_log' }),
    ({ manifest: { totals } }) => `${totals.changes.toLocaleString('en')} changes, ${bytes(totals.bytes)}`,
  );
  const everything = await digests(client, ctx, null);
  await client.end();
  await admin.query('drop database journal with (force)');
  stage.alarm('drop database journal');
  await admin.query('create database journal_restored');
  const target = server.url('journal_restored');
  await stage.step(
    'Bring it back from the store',
    () => restoreDatabase(withoutDatabase(ctx), { targetUrl: target, moment: parseMoment(log.manifest.horizon) }),
    (r) => `${r.rows.toLocaleString('en')} rows, ${r.changes.toLocaleString('en')} changes carried over the base`,
  );
  client = await connect(target);
  stage.proof(
    'every table of every tenant has the digest that it had',
    same(everything, await digests(client, ctx, null)),
  );
  await client.end();
  await admin.end();
}

const withoutDatabase = ({ databaseUrl: _, ...rest }: Context): Context => rest;

const sum = (counts: Readonly<Record<string, number>>): string =>
  Object.values(counts)
    .reduce((a, b) => a + b, 0)
    .toLocaleString('en');

const same = (a: Digests, b: Digests): boolean => JSON.stringify(a) === JSON.stringify(b);

function describeReach(reach: ReturnType<typeof sampleMap>['tables'][number]['tenant']): string {
  if (!reach) return 'shared';
  return reach.kind === 'column' ? reach.column : `${reach.columns.join(', ')} -> ${reach.parent}`;
}

async function digests(client: pg.Client, ctx: Context, tenant: string | null): Promise<Digests> {
  return transaction(client, READ_SNAPSHOT, async () => tenantDigest(client, await bind(client, ctx.map), tenant));
}

/** What a script does that forgot half of its WHERE clause. */
async function damage(client: pg.Client, tenant: string): Promise<{ deleted: number; overwritten: number }> {
  return transaction(client, '', async () => {
    const deleted = await client.query(
      `delete from public.journal_entries where organization_id = $1 and mood in ('bleak', 'low', 'flat')`,
      [tenant],
    );
    const overwritten = await client.query(
      `update public.journal_entries set body = 'TODO', mood = null, folder_id = null where organization_id = $1`,
      [tenant],
    );
    await client.query('update public.users set team_id = null, active = false where organization_id = $1', [tenant]);
    await client.query('delete from public.teams where organization_id = $1', [tenant]);
    await client.query('delete from public.tags where organization_id = $1', [tenant]);
    return { deleted: deleted.rowCount ?? 0, overwritten: overwritten.rowCount ?? 0 };
  });
}

const directory = await mkdtemp(join(tmpdir(), 'holdfast-demo-'));
try {
  await demo(new Stage(), directory);
} finally {
  await rm(directory, { recursive: true, force: true });
}
