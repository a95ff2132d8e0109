import { readdir } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { afterAll, describe, expect, test } from '@jest/globals';
import type { DataMap } from '../../core/datamap/types.ts';
import { RowArena } from '../../core/snapshot/arena.ts';
import { backup } from '../../core/snapshot/backup.ts';
import { Keyring } from '../../core/snapshot/keyring.ts';
import type { ChunkSpec } from '../../core/snapshot/plan.ts';
import { groupPasses } from '../../core/snapshot/readPass.ts';
import { readSlab } from '../../core/snapshot/readSlab.ts';
import { SealThread } from '../../core/snapshot/sealThread.ts';
import { openSlab } from '../../core/snapshot/slab.ts';
import { Spool } from '../../core/snapshot/spool.ts';
import { openStore } from '../../core/snapshot/store.ts';
import { temporaryDirectory } from '../support/temporary.ts';
import { makeWorld, type World } from './world.ts';

const chunk = (id: string, more: Partial<ChunkSpec> = {}): ChunkSpec => ({
  id,
  kind: 'tenants',
  tenants: [id],
  tables: ['public.a', 'public.b'],
  bytes: 1 << 20,
  ...more,
});

describe('which chunks are read together', () => {
  const ids = (chunks: readonly ChunkSpec[]) => groupPasses(chunks).map((pass) => pass.map((spec) => spec.id));

  test('neighbours with the same tables, but no key ranges, shared tables or rows without a tenant', () => {
    const range = { tables: ['public.a'], range: { from: null, to: ['5'] } };
    const chunks = [chunk('1'), chunk('2'), chunk('3', range), chunk('4', range), chunk('5'), chunk('6')];
    expect(ids([...chunks, chunk('7', { kind: 'shared' }), chunk('8', { kind: 'rest' })])).toEqual([
      ['1', '2'],
      ['3'],
      ['4'],
      ['5', '6'],
      ['7'],
      ['8'],
    ]);
  });

  test('no more than 1 GiB or 32 of them', () => {
    const large = (id: string) => chunk(id, { bytes: 400 << 20 });
    expect(ids([large('1'), large('2'), large('3'), chunk('4')])).toEqual([
      ['1', '2'],
      ['3', '4'],
    ]);
    const many = Array.from({ length: 70 }, (_, i) => chunk(String(i)));
    expect(groupPasses(many).map((pass) => pass.length)).toEqual([32, 32, 6]);
  });
});

describe('a spool', () => {
  test('gives back what it was given, by name and in order, and leaves no file', async () => {
    const spool = Spool.open();
    expect((await readdir(tmpdir())).filter((name) => name.startsWith('holdfast-spool-'))).toEqual([]);
    const pieces = ['one', 'two', 'x'.repeat(300_000), ''].map((text) => Buffer.from(text));
    for (const piece of pieces) {
      spool.add('a', piece);
      spool.add('b', Buffer.from('between'));
    }
    const texts = [...spool.pieces('a')].map(String);
    expect(texts).toEqual(pieces.map(String));
    expect([...spool.pieces('c')]).toEqual([]);
    spool.close();
  });
});

test('the sealing thread seals what the same slab is sealed from here, and gives the memory back', async () => {
  const arena = new RowArena(9 << 20);
  const line = Buffer.from(`${'x'.repeat(1023)}\n`);
  for (let at = 0; at < 9 << 20; at += line.length) arena.bytes.set(line, at);
  arena.bytes.set(Buffer.from('secret\n'), 4096);
  arena.kept = 9 << 20;
  const view = (offset: number, length: number) => arena.bytes.subarray(offset, offset + length);
  const key = Buffer.alloc(32, 7);
  const person = { ref: '00'.repeat(16), key: Buffer.alloc(32, 9) };
  const place = { backup: 'b', tenant: 't', object: 'o' };
  const about = { table: 'public.a', columns: ['id'], sealed: ['secret'], rows: 1, runs: [[0, 1]] as const };
  const slabs = [0, 1].map((ordinal) => ({
    key,
    input: {
      ...place,
      ordinal,
      snapshot: '1:1:',
      sections: [{ ...about, open: ordinal === 0 ? view(0, 1024) : Buffer.from('made up\n') }],
      persons: [{ ...person, parts: [view(4096, 7)] }],
    },
  }));
  const thread = new SealThread();
  const sealing = thread.begin(slabs, arena);
  const sealed = await Promise.all([sealing.seal(0), sealing.seal(1)]);
  await sealing.done();
  await thread.close();
  for (const [ordinal, open] of ['x'.repeat(1023), 'made up'].entries()) {
    const keys = { backupKey: key, persons: new Map([[person.ref, person]]), expect: { ...place, ordinal } };
    const { sections } = await openSlab(sealed[ordinal]!, keys);
    expect(sections[0]!.data.toString()).toBe(`${open}\tsecret\n`);
  }
  expect(arena.bytes.length).toBeGreaterThan(9 << 20);
  expect(Buffer.from(arena.bytes.subarray(4096, 4102)).toString()).toBe('secret');
});

let world: World | undefined;
afterAll(() => world?.database.drop());

const ODD = ['1', '12', '123', 'a\tb', '\\N', 'new\nline', 'back\\slash', 'é', '', "it's", '{x,"y"}', 'Z'.repeat(90)];

test('tenants with any name, rows of any length and rows without a tenant come through a pass', async () => {
  const plain = (names: string[]) =>
    Object.fromEntries(names.map((n) => [n, { class: 'none', sealed: false }] as const));
  const map: DataMap = {
    tenants: { table: 'public.shops', key: 'name' },
    excluded: [],
    tables: [
      { name: 'public.shops', tenant: { kind: 'column', column: 'name' }, columns: plain(['name']), erase: 'delete' },
      {
        name: 'public.orders',
        tenant: { kind: 'column', column: 'shop' },
        columns: plain(['id', 'shop', 'body']),
        erase: 'delete',
      },
      {
        name: 'public.lines',
        tenant: { kind: 'via', columns: ['order_id'], parent: 'public.orders', parentColumns: ['id'] },
        columns: plain(['id', 'order_id', 'body']),
        erase: 'delete',
      },
    ],
  };
  world = await makeWorld({
    directory: await temporaryDirectory(),
    map,
    fill: async (client) => {
      await client.query(`
        create table public.shops (name text primary key);
        create table public.orders (id int primary key, shop text references public.shops, body text);
        create table public.lines (id int primary key, order_id int not null references public.orders, body text)`);
      await client.query('insert into public.shops select unnest($1::text[])', [ODD]);
      await client.query(
        `insert into public.orders select i, ($1::text[])[1 + i % 13], repeat(i::text || E'\\t', 200) from generate_series(1, 600) i`,
        [ODD],
      );
      // The longest is larger than the spool's pieces, and the longest but one than what arrives at once.
      await client.query(
        `insert into public.lines select i, 1 + i % 600,
                repeat(i::text, case i when 7 then 300000 when 8 then 40000 else i % 50 end) from generate_series(1, 3000) i`,
      );
      await client.query('analyze');
    },
  });
  const { manifest } = await backup(world.ctx, { type: 'full', chunkBytes: 60_000 });
  expect(manifest.objects.filter((o) => o.kind === 'chunk').length).toBeGreaterThan(4);

  const { store, keys, persons } = world.ctx;
  const reader = { store, persons, keyring: new Keyring(store, keys, (await openStore(world.ctx)).id) };
  const found: string[] = [];
  for (const object of manifest.objects.filter((o) => o.kind === 'chunk')) {
    for (const slab of object.slabs) {
      for (const { table, columns, data } of (await readSlab(reader, manifest, object, slab)).sections) {
        for (const line of data.toString().split('\n').slice(0, -1)) {
          const row = Object.fromEntries(line.split('\t').map((field, i) => [columns[i], field]));
          found.push(
            JSON.stringify([slab.tenant, table, row.id ?? row.name, (row.body ?? '').replaceAll('\\t', '\t')]),
          );
        }
      }
    }
  }
  const escaped = (text: string) => text.replace(/[\\\t\n]/g, (c) => ({ '\\': '\\\\', '\t': '\\t', '\n': '\\n' })[c]!);
  const { rows } = await world.client.query<{ tenant: string | null; tbl: string; id: string; body: string }>(
    `select name as tenant, 'public.shops' as tbl, name as id, '' as body from public.shops
     union all select shop, 'public.orders', id::text, body from public.orders
     union all select o.shop, 'public.lines', l.id::text, l.body from public.lines l join public.orders o on o.id = l.order_id`,
  );
  const live = rows.map(({ tenant, tbl, id, body }) => JSON.stringify([tenant ?? '_shared', tbl, escaped(id), body]));
  expect(found.sort()).toEqual(live.sort());
});
