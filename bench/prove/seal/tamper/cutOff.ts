import type { World } from '../world.ts';
import { digestOf } from './digestOf.ts';

/** As if the newest entries had never been: the chains end where the entry before `from` says. */
export async function cutOff(world: World, from: number): Promise<void> {
  const { client } = world;
  await client.query(
    `delete from holdfast.trail t using holdfast.seal_segments s, generate_series(0, length(s.leaves) / 40 - 1) i
      where s.entry >= $1 and t.seq = ('x' || encode(substr(s.leaves, i * 40 + 1, 8), 'hex'))::bit(64)::bigint`,
    [from],
  );
  await client.query('delete from holdfast.seal_redactions where entry >= $1', [from]);
  await client.query(
    'delete from holdfast.seal_salts t using holdfast.seal_segments s where s.entry >= $1 and s.chain = t.chain and s.number = t.number',
    [from],
  );
  await client.query('delete from holdfast.seal_segments where entry >= $1', [from]);
  await client.query('delete from holdfast.seal_entries where number >= $1', [from]);
  const { rows: heads } = await client.query(
    'select distinct on (chain) chain, number::text, header from holdfast.seal_segments order by chain, seal_segments.number desc',
  );
  for (const { chain, number, header } of heads) {
    await client.query("update holdfast.seal_chains set segments = $2, head = decode($3, 'hex') where id = $1", [
      chain,
      number,
      digestOf(header),
    ]);
  }
  await client.query('delete from holdfast.seal_chains where id <> all ($1::int[])', [heads.map((h) => h.chain)]);
}
