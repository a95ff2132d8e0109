/** Rows that go, come, or change places. */
import { anyRow, named, type Row, SEALED, type Tampering } from './tampering.ts';

export const rows: readonly Tampering[] = [
  {
    name: 'remove a row',
    async apply(world, random) {
      const row = await anyRow(world, random, 'true');
      await world.client.query('delete from holdfast.trail where seq = $1', [row!.seq]);
      return named(row!, 'removed');
    },
  },
  {
    name: 'remove the last rows',
    async apply(world, random) {
      const { rows: gone } = await world.client.query(
        `delete from holdfast.trail where seq in (select seq from holdfast.trail t where ${SEALED} order by seq desc limit $1) returning seq::text, organization`,
        [1 + random.int(4)],
      );
      return named(random.pick(gone as Row[]), 'removed');
    },
  },
  {
    name: 'remove all rows of a tenant',
    async apply(world, random) {
      const { rows: gone } = await world.client.query(
        `delete from holdfast.trail t where organization = 'corn' and ${SEALED} returning seq::text, organization`,
      );
      return gone.length > 0 ? named(random.pick(gone as Row[]), 'removed') : undefined;
    },
  },
  {
    name: 'empty the trail',
    async apply(world, random) {
      const row = await anyRow(world, random, 'true');
      await world.client.query('truncate holdfast.trail');
      return named(row!, 'removed');
    },
  },
  {
    name: 'insert a row',
    async apply(world, random) {
      const row = await anyRow(world, random);
      const { rows: made } = await world.client.query(
        `insert into holdfast.trail select nextval('holdfast.seq'), before_seq, xid, at, table_id, action, organization, record, person, user_id,
           actor, row_version, row_table, changes, metadata from holdfast.trail where seq = $1 returning seq::text`,
        [row!.seq],
      );
      return { kinds: ['inserted'], seq: made[0].seq };
    },
  },
  {
    name: 'insert a row twice',
    async apply(world, random) {
      const row = await anyRow(world, random);
      await world.client.query('insert into holdfast.trail select * from holdfast.trail where seq = $1', [row!.seq]);
      return named(row!, 'inserted');
    },
  },
  {
    name: 'insert a row of a transaction that never was',
    async apply(world, random) {
      const row = await anyRow(world, random);
      const xid = random.pick(['0', '2', '4000000000']);
      await world.client.query(
        `insert into holdfast.trail select seq + 100000, before_seq, $2::bigint, at, table_id, action, organization, record, person, user_id,
           actor, row_version, row_table, changes, metadata from holdfast.trail where seq = $1`,
        [row!.seq, xid],
      );
      return { kinds: ['inserted'], seq: String(BigInt(row!.seq) + 100000n) };
    },
  },
  {
    name: 'swap the order of two rows',
    async apply(world, random) {
      const [a, b] = [await anyRow(world, random), await anyRow(world, random)];
      if (a!.seq === b!.seq) return undefined;
      await world.client.query(
        'update holdfast.trail set seq = case seq when $1 then $2::bigint else $1::bigint end where seq in ($1, $2)',
        [a!.seq, b!.seq],
      );
      return { kinds: ['reordered'], seq: random.pick([a!.seq, b!.seq]) };
    },
  },
  {
    name: 'move a row to another place in the order',
    async apply(world, random) {
      const row = await anyRow(world, random);
      await world.client.query('update holdfast.trail set seq = seq + 50000 where seq = $1', [row!.seq]);
      return { kinds: ['reordered'], seq: String(BigInt(row!.seq) + 50000n) };
    },
  },
];
