/** A table of many tenants, of which one is looked at. Its rows and its changes are the same however large the rest is. */
import { bind } from '../../../../core/datamap/bind.ts';
import type { DataMap } from '../../../../core/datamap/types.ts';
import { advance } from '../../../../core/history/advance.ts';
import { install } from '../../../../core/history/install.ts';
import { formatMoment } from '../../../../core/moment.ts';
import { type Client, connect } from '../../../../core/sql.ts';
import type { BenchServer } from '../peers.ts';

/** Rows of the tenant that is looked at, and changes of it after the moment that is asked for. */
export const OWN_ROWS = 2000;
export const OWN_CHANGES = 1000;
const TENANT = '7';

const MAP: DataMap = {
  tenants: { table: 'public.tenants', key: 'id' },
  tables: [
    { name: 'public.tenants', tenant: { kind: 'column', column: 'id' }, columns: {}, erase: 'delete' },
    { name: 'public.entries', tenant: { kind: 'column', column: 'tenant' }, columns: {}, erase: 'delete' },
  ],
  excluded: [],
};

export interface World {
  readonly client: Client;
  /** Of the backend, to read its CPU time. */
  readonly pid: number;
  readonly tenant: string;
  /** Before all changes. */
  readonly moment: string;
  /** A record that was changed 100 times. */
  readonly record: string;
}

/** @param others rows of other tenants; one in a hundred of them is changed too */
export async function makeWorld(bench: BenchServer, name: string, others: number): Promise<World> {
  const admin = await connect(bench.server.url());
  await admin.query(`create database ${name}`);
  await admin.end();
  const client = await connect(bench.server.url(name));
  const every = Math.round((others + OWN_ROWS) / OWN_ROWS);
  await client.query(`
    create table public.tenants (id int primary key);
    create table public.entries (
      id bigint primary key, tenant int not null references public.tenants, title text not null, body text not null,
      amount numeric(12, 2), tags text[] not null default '{}', attributes jsonb, updated_at timestamptz not null);
    insert into public.tenants select generate_series(1, 500);
    -- Rows of all tenants are mixed, as they are where an application wrote them.
    insert into public.entries
    select i, case when i % ${every} = 0 then ${TENANT} else 8 + i % 480 end, 'title of ' || i, repeat(md5(i::text), 4), i % 1000 + 0.50,
           array['a', 'b'], '{"n": 1.0}', now() - interval '1 day'
      from generate_series(1, ${every * OWN_ROWS}) i;
    create index on public.entries (tenant);`);
  await install(client, await bind(client, MAP));
  await client.query('vacuum analyze');
  const { moment } = await advance(client);
  const own = `select id, row_number() over (order by id) as n from public.entries where tenant = ${TENANT}`;
  await client.query(`update public.entries set title = title || '!' where id % 100 = 1 and tenant <> ${TENANT}`);
  for (let part = 0; part < 10; part++) {
    await client.query(`
      update public.entries set title = title || '.', amount = amount + 1, updated_at = now()
       where id in (select id from (${own}) o where n % 10 = ${part} and n <= ${OWN_CHANGES / 2});
      delete from public.entries where id in (select id from (${own}) o where n % 10 = ${part} and n > ${OWN_ROWS - OWN_CHANGES / 4});
      insert into public.entries select -${part} * 1000 - i, ${TENANT}, 'new', 'new', 0, '{}', null, now() from generate_series(1, ${OWN_CHANGES / 40}) i`);
  }
  const record = String(every * (OWN_ROWS / 2));
  for (let n = 0; n < 100; n++) {
    await client.query('update public.entries set amount = amount + 1 where id = $1', [record]);
  }
  await client.query('vacuum analyze');
  await advance(client); // as "holdfast maintain" does every minute
  const { rows } = await client.query('select pg_backend_pid() as pid');
  return { client, pid: rows[0].pid, tenant: TENANT, moment: formatMoment(moment), record };
}

/**
 * Makes the trail so long, with changes of records that do not exist, of other tenants, as they would have been written over
 * the last hours.
 */
export async function lengthenTrail(client: Client, rows: number): Promise<void> {
  const batch = 500_000;
  const { rows: found } = await client.query('select count(*)::int as n from holdfast.trail');
  for (let done = found[0].n as number; done < rows; done += batch) {
    await client.query(
      `insert into holdfast.trail (seq, xid, at, table_id, action, organization, record, person, user_id, actor, changes)
       select nextval('holdfast.seq'), txid_current(), clock_timestamp(), t.id, 'U', (8 + i % 480)::text, (100000000 + (i * 7919) % 2000000)::text, null,
              'user-' || i % 5000, md5((i % 5000)::text)::uuid, '{"title": ["before", "after"], "updated_at": ["2026-01-01 00:00:00+00", "2026-01-02 00:00:00+00"]}'
         from generate_series(1::bigint, $1) i, holdfast.tables t where t.name = 'public.entries'`,
      [Math.min(batch, rows - done)],
    );
    await advance(client);
  }
  await client.query('vacuum analyze holdfast.trail');
}
