import { afterAll, beforeAll, describe, expect, test } from '@jest/globals';
import { isAtOrAfter, parseSnapshot } from '../../core/history/snapshots.ts';
import { backup } from '../../core/snapshot/backup.ts';
import { Keyring } from '../../core/snapshot/keyring.ts';
import { readSlab } from '../../core/snapshot/readSlab.ts';
import { openStore } from '../../core/snapshot/store.ts';
import type { Manifest } from '../../core/snapshot/types.ts';
import { validate } from '../../core/snapshot/validate.ts';
import { temporaryDirectory } from '../support/temporary.ts';
import { makeWorld, tenants, type World } from './world.ts';

let world: World;
beforeAll(async () => {
  world = await makeWorld({ directory: await temporaryDirectory() });
});
afterAll(() => world.database.drop());

/** Every row of a table in a backup's chunks, `{column: text}`. */
async function rowsOf(manifest: Manifest, table: string): Promise<Record<string, string | null>[]> {
  const { store, keys, persons } = world.ctx;
  const reader = { store, persons, keyring: new Keyring(store, keys, (await openStore(world.ctx)).id) };
  const rows: Record<string, string | null>[] = [];
  for (const object of manifest.objects.filter((o) => o.kind !== 'schema')) {
    for (const slab of object.slabs) {
      for (const section of (await readSlab(reader, manifest, object, slab)).sections) {
        if (section.table !== table) continue;
        for (const line of section.data.toString().split('\n').slice(0, -1)) {
          const fields = line.split('\t').map((f) => (f === '\\N' ? null : f.replaceAll('\\\\', '\\')));
          rows.push(Object.fromEntries(section.columns.map((c, i) => [c, fields[i]!])));
        }
      }
    }
  }
  return rows;
}

describe('a full backup', () => {
  test('holds every row of every table once, in slabs of its own tenant', async () => {
    const { manifest, note } = await backup(world.ctx, { type: 'full', chunkBytes: 100_000 });
    expect(note).toBeUndefined();
    expect(manifest.parent).toBeNull();
    for (const { name, rows } of manifest.tables) {
      const [schema, relname] = name.split('.');
      const live = await world.client.query(`select count(*)::int as n from "${schema}"."${relname}"`);
      expect({ name, rows }).toEqual({ name, rows: live.rows[0].n });
    }
    const ids = (await rowsOf(manifest, 'public.users')).map((row) => row.id).sort();
    const live = await world.client.query('select id::text from public.users order by id::text');
    expect(ids).toEqual(live.rows.map((row) => row.id).sort());
    expect(Object.keys(manifest.keys).sort()).toEqual([...(await tenants(world.client)), '_shared'].sort());
    expect((await validate(world.ctx, manifest, { deep: true })).faults).toEqual([]);
  });

  test('of one tenant holds that tenant and the shared tables', async () => {
    const [tenant] = await tenants(world.client);
    const { manifest } = await backup(world.ctx, { type: 'full', tenant: tenant! });
    const users = await world.client.query('select id::text from public.users where organization_id = $1', [tenant]);
    expect((await rowsOf(manifest, 'public.users')).map((row) => row.id).sort()).toEqual(
      users.rows.map((row) => row.id).sort(),
    );
    expect(await rowsOf(manifest, 'public.plans')).toHaveLength(3);
    expect(Object.keys(manifest.keys).sort()).toEqual([tenant, '_shared'].sort());
  });

  test('of a tenant larger than a chunk is cut by key ranges and is whole', async () => {
    const [tenant] = await tenants(world.client);
    const { manifest } = await backup(world.ctx, { type: 'full', tenant: tenant!, chunkBytes: 8_000 });
    expect(manifest.objects.filter((o) => o.kind === 'chunk').length).toBeGreaterThan(5);
    for (const table of ['journal_entries', 'entry_tags', 'activity_events', 'transcription_segments']) {
      const found = (await rowsOf(manifest, `public.${table}`)).map((row) => JSON.stringify(row));
      expect(new Set(found).size).toBe(found.length);
    }
    const segments = await world.client.query(
      `select count(*)::int as n from public.transcription_segments s join public.voice_notes v on v.id = s.voice_note_id
         join public.journal_entries e on e.id = v.entry_id where e.organization_id = $1`,
      [tenant],
    );
    expect(await rowsOf(manifest, 'public.transcription_segments')).toHaveLength(segments.rows[0].n);
  });

  test('leaves out what it is told to, and says so', async () => {
    const { manifest } = await backup(world.ctx, { type: 'full', exclude: ['activity_events', 'public.comments'] });
    expect(manifest.excluded).toEqual(['public.comments', 'public.activity_events']);
    expect(manifest.tables.map((t) => t.name)).not.toContain('public.comments');
    expect(await rowsOf(manifest, 'public.comments')).toEqual([]);
  });
});

describe('logs', () => {
  test('continue one another without a gap, of whatever kind', async () => {
    const chain: Manifest[] = [];
    for (const type of ['full', 'incremental', 'transaction_log', 'differential', 'incremental', 'full'] as const) {
      await world.client.query("update public.plans set name = name || '.'");
      chain.push((await backup(world.ctx, { type })).manifest);
    }
    const [full, incremental, log, differential, last, second] = chain as [
      Manifest,
      Manifest,
      Manifest,
      Manifest,
      Manifest,
      Manifest,
    ];
    expect(incremental.parent).toBe(full.id);
    expect(log.parent).toBe(incremental.id);
    expect(differential.parent).toBe(full.id);
    expect(last.parent).toBe(differential.id);
    expect(second.parent).toBe(last.id);
    expect(log.log.from).toBe(incremental.log.to);
    expect(differential.log.from).toBe(full.log.to);
    expect(second.log.from).toBe(last.log.to);
    for (const m of chain) expect(isAtOrAfter(parseSnapshot(m.log.to), parseSnapshot(m.log.from))).toBe(true);
    // Three plans each time; the differential holds three rounds of them, the second full one.
    expect(chain.slice(1).map((m) => m.totals.changes)).toEqual([3, 3, 9, 3, 3]);
  });

  test('seal what is personal under the person, and keep order and commit times', async () => {
    await backup(world.ctx, { type: 'incremental' });
    const { rows } = await world.client.query(
      'select id::text, organization_id::text as tenant from public.users order by id limit 1',
    );
    const { id, tenant } = rows[0];
    await world.client.query('begin');
    await world.client.query("select holdfast.set_actor($1, 'someone@example.com')", [id]);
    await world.client.query("update public.users set display_name = 'Secret Name' where id = $1", [id]);
    await world.client.query("update public.users set created_at = '2001-02-03Z' where id = $1", [id]);
    await world.client.query('commit');
    const { manifest } = await backup(world.ctx, { type: 'incremental' });
    const changes = (await rowsOf(manifest, 'holdfast.trail')).filter((row) => row.person === id);
    const update = changes.find((row) => row.changes_sealed?.includes('Secret Name'))!;
    expect(update).toMatchObject({ action: 'U', table: 'public.users', record: id, changes: '{}', user_id: id });
    expect(update.committed).toMatch(/^20\d\d-/);
    const seqs = changes.map((row) => Number(row.seq));
    expect(seqs).toEqual([...seqs].sort((a, b) => a - b));
    expect((await rowsOf(manifest, 'holdfast.actors')).map((row) => row.user_email)).toEqual(['someone@example.com']);

    // Without the person's key neither the change nor the actor's address opens; the rest does.
    await world.ctx.persons.erase(tenant, id);
    const after = await rowsOf(manifest, 'holdfast.trail');
    expect(JSON.stringify(after)).not.toContain('Secret Name');
    expect(JSON.stringify(after)).toContain('2001-02-03');
    expect((await rowsOf(manifest, 'holdfast.actors')).map((row) => row.user_email)).toEqual([null]);
  });

  test('of one tenant holds no change of another', async () => {
    const [one, two] = await tenants(world.client);
    await backup(world.ctx, { type: 'full', tenant: one! });
    await world.client.query("update public.organizations set name = name || '!' where id = any($1)", [[one, two]]);
    const { manifest } = await backup(world.ctx, { type: 'incremental', tenant: one! });
    expect((await rowsOf(manifest, 'holdfast.trail')).map((row) => row.record)).toEqual([one]);
  });

  test('are cut into objects of bounded size', async () => {
    await backup(world.ctx, { type: 'incremental' });
    await world.client.query("update public.journal_entries set title = title || '?'");
    const { manifest } = await backup(world.ctx, { type: 'incremental', chunkBytes: 20_000 });
    expect(manifest.objects.filter((o) => o.kind === 'log').length).toBeGreaterThan(2);
    expect(await rowsOf(manifest, 'holdfast.trail')).toHaveLength(manifest.totals.changes);
    const live = await world.client.query('select count(*)::int as n from public.journal_entries');
    expect(manifest.totals.changes).toBe(live.rows[0].n);
  });
});

describe('what is asked for and cannot be made', () => {
  test('an incremental before any full is made a full, and says why', async () => {
    const other = await makeWorld({ directory: await temporaryDirectory() });
    const { manifest, note } = await backup(other.ctx, { type: 'incremental' });
    expect(manifest.type).toBe('full');
    expect(note).toMatch(/there was none to build on/);
    await other.database.drop();
  });

  test('a table that is new since the last full makes the next incremental a full', async () => {
    const other = await makeWorld({ directory: await temporaryDirectory() });
    await backup(other.ctx, { type: 'full', exclude: [] });
    const { rows } = await other.client.query("select id from holdfast.tables where name = 'public.tags'");
    await other.client.query(
      `insert into holdfast.table_versions (table_id, version, from_seq, xid, columns, key, barrier)
       select table_id, version + 1, nextval('holdfast.seq'), 0, columns, key, 'column color retyped'
         from holdfast.table_versions where table_id = $1 order by version desc limit 1`,
      [rows[0].id],
    );
    const { manifest, note } = await backup(other.ctx, { type: 'incremental' });
    expect(manifest.type).toBe('full');
    expect(note).toMatch(/public\.tags has changed .*color retyped/);
    await other.database.drop();
  });

  test('a tenant that is not there is refused, with names that are', async () => {
    await expect(backup(world.ctx, { type: 'full', tenant: 'nobody' })).rejects.toMatchObject({
      code: 'HF_TENANT_UNKNOWN',
      details: { tenant: 'nobody' },
    });
  });

  test('a tenant whose name stands for rows without one is refused, also when it comes with a log', async () => {
    const other = await makeWorld({
      directory: await temporaryDirectory(),
      fill: (client) => client.query('create table public.shops (name text primary key)'),
      map: {
        tenants: { table: 'public.shops', key: 'name' },
        tables: [
          {
            name: 'public.shops',
            tenant: { kind: 'column', column: 'name' },
            columns: { name: { class: 'none', sealed: false } },
            erase: 'delete',
          },
        ],
        excluded: [],
      },
    });
    await backup(other.ctx, { type: 'full' });
    await other.client.query("insert into public.shops values ('_shared')");
    for (const type of ['incremental', 'full'] as const)
      await expect(backup(other.ctx, { type })).rejects.toMatchObject({ code: 'HF_TENANT_RESERVED' });
    await other.database.drop();
  });

  test('a database that is older than its store is refused', async () => {
    const other = await makeWorld({ directory: await temporaryDirectory() });
    await backup(other.ctx, { type: 'full' });
    await other.client.query('delete from holdfast.tenant_backups');
    await expect(backup(other.ctx, { type: 'incremental' })).rejects.toMatchObject({ code: 'HF_DATABASE_REWOUND' });
    await other.database.drop();
  });

  test('a table that is not captured is named', async () => {
    const other = await makeWorld({ directory: await temporaryDirectory() });
    for (const name of ['ddl', 'drop', 'rewrite']) // else they are enabled again at once
      await other.client.query(`alter event trigger holdfast_${name} disable`);
    await other.client.query('alter table public.tags disable trigger all');
    await expect(backup(other.ctx, { type: 'full' })).rejects.toMatchObject({
      code: 'HF_NOT_PROTECTED',
      details: { tables: ['public.tags'] },
    });
    await other.database.drop();
  });

  test('two backups of one scope do not run at once', async () => {
    const results = await Promise.allSettled([
      backup(world.ctx, { type: 'full' }),
      backup(world.ctx, { type: 'full' }),
    ]);
    const refused = results.filter((r) => r.status === 'rejected');
    expect(refused.map((r) => (r as PromiseRejectedResult).reason.code)).toEqual(['HF_BACKUP_RUNNING']);
  });
});
