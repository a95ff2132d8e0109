import { expect, test } from '@jest/globals';
import type { StagedTable } from '../../core/restore/stage.ts';
import { findTriggers, suspend } from '../../core/restore/triggers.ts';
import { createDatabase } from '../support/database.ts';

test('triggers rest in every partition, and come back as each of them was', async () => {
  const database = await createDatabase({ prefix: 'triggers' });
  const client = await database.client();
  await client.query(`create table public.p (a int, b int) partition by list (a);
    create table public.p1 partition of public.p for values in (1);
    create table public.p2 partition of public.p for values in (2);
    create function public.f() returns trigger language plpgsql as 'begin return new; end';
    create trigger stamp before update on public.p for each row execute function public.f();
    alter table public.p2 disable trigger stamp;
    alter table public.p1 enable always trigger stamp`);
  const states = async () =>
    (
      await client.query({
        text: 'select tgrelid::regclass::text, tgenabled::text from pg_trigger order by 1',
        rowMode: 'array',
      })
    ).rows;
  const { rows } = await client.query("select 'public.p'::regclass::oid::int8::float8 as oid");
  const before = await states();
  expect(before.map(([, state]) => state)).toEqual(['O', 'A', 'D']);
  await client.query('begin');
  const found = await findTriggers(client, [{ target: { bound: { oid: rows[0].oid } } } as StagedTable]);
  const resume = await suspend(client, found);
  expect((await states()).map(([, state]) => state)).toEqual(['D', 'D', 'D']);
  await resume();
  expect(await states()).toEqual(before);
  await database.drop();
});
