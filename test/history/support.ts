/** A small protected schema for tests of history: tenants, documents with a tenant column, lines below documents. */
import type pg from 'pg';
import { bind } from '../../core/datamap/bind.ts';
import type { DataMap, Reach, TableRule } from '../../core/datamap/types.ts';
import { install } from '../../core/history/install.ts';
import { createDatabase, type TestDatabase } from '../support/database.ts';

export const column = (name: string): Reach => ({ kind: 'column', column: name });

export const rule = (name: string, tenant?: Reach, person?: Reach): TableRule => ({
  name,
  ...(tenant && { tenant }),
  ...(person && { person }),
  columns: {},
  erase: 'delete',
});

export const shopMap: DataMap = {
  tenants: { table: 'shop.tenants', key: 'id' },
  tables: [
    rule('shop.tenants', column('id')),
    rule('shop.docs', column('tenant')),
    rule('shop.lines', { kind: 'via', columns: ['doc'], parent: 'shop.docs', parentColumns: ['id'] }),
  ],
  excluded: [],
};

export const SHOP = `
  create schema shop;
  create table shop.tenants (id text primary key);
  create table shop.docs (id int primary key, tenant text not null references shop.tenants, title text, amount numeric);
  create table shop.lines (doc int references shop.docs on delete cascade on update cascade, n int, txt text, primary key (doc, n));
  insert into shop.tenants values ('a'), ('b');
`;

export interface Shop {
  readonly database: TestDatabase;
  readonly client: pg.Client;
  /** Changes since the last call, in the order of the trail: `docs U 1 a {"title":["x","y"]}`. */
  changes(): Promise<string[]>;
}

export async function openShop(): Promise<Shop> {
  const database = await createDatabase({ prefix: 'history' });
  const client = await database.client();
  await client.query(SHOP);
  await install(client, await bind(client, shopMap));
  let seq = '0';
  return {
    database,
    client,
    async changes() {
      const { rows } = await client.query(
        `select c.seq::text, t.name, c.action::text, c.record, c.organization, c.changes from holdfast.trail c
           join holdfast.tables t on t.id = c.table_id where c.seq > $1 order by c.seq`,
        [seq],
      );
      seq = rows.at(-1)?.seq ?? seq;
      return rows.map((r) => {
        const parts = [
          r.name.split('.')[1],
          r.action,
          r.record,
          r.organization,
          r.changes && JSON.stringify(r.changes),
        ];
        return parts.filter((part) => part !== null).join(' ');
      });
    },
  };
}
