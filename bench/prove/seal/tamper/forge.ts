import { hash } from 'node:crypto';
import { canonicalJson } from '../../../../core/snapshot/canonical.ts';
import type { World } from '../world.ts';
import { digestOf } from './digestOf.ts';
import type { Expected, Row } from './tampering.ts';

/** All that can be done without the key. The leaf of the removed row goes with it, so that nothing in the segment disagrees. */
export async function forge(world: World, row: Row): Promise<Expected | undefined> {
  const { client } = world;
  const { rows: chain } = await client.query(
    `select s.chain, s.number::text, s.header, s.leaves, t.salts from holdfast.seal_segments s join holdfast.seal_salts t using (chain, number)
      where s.tenant = $1 order by s.number`,
    [row.organization],
  );
  const wanted = Buffer.alloc(8);
  wanted.writeBigUInt64BE(BigInt(row.seq));
  let previous: string | undefined;
  for (const { chain: id, number, header, leaves, salts } of chain as {
    chain: number;
    number: string;
    header: string;
    leaves: Buffer;
    salts: Buffer;
  }[]) {
    const at = Array.from({ length: leaves.length / 40 }, (_, i) => i).find((i) =>
      leaves.subarray(i * 40, i * 40 + 8).equals(wanted),
    );
    if (at === undefined && previous === undefined) continue;
    const parsed = JSON.parse(header);
    const cut = (bytes: Buffer, size: number) =>
      at === undefined ? bytes : Buffer.concat([bytes.subarray(0, at * size), bytes.subarray((at + 1) * size)]);
    const [newLeaves, newSalts] = [cut(leaves, 40), cut(salts, 16)];
    if (newLeaves.length === 0) return undefined;
    const forged = canonicalJson({
      ...parsed,
      count: newLeaves.length / 40,
      first: newLeaves.readBigUInt64BE(0).toString(),
      last: newLeaves.readBigUInt64BE(newLeaves.length - 40).toString(),
      root: hash('sha256', Buffer.concat([Buffer.from('holdfast-leaves-1\n'), newLeaves]), 'hex'),
      previous: previous ?? parsed.previous,
    });
    await client.query('update holdfast.seal_segments set header = $3, leaves = $4 where chain = $1 and number = $2', [
      id,
      number,
      forged,
      newLeaves,
    ]);
    await client.query('update holdfast.seal_salts set salts = $3 where chain = $1 and number = $2', [
      id,
      number,
      newSalts,
    ]);
    previous = digestOf(forged);
    await client.query("update holdfast.seal_chains set head = decode($2, 'hex') where id = $1", [id, previous]);
  }
  if (previous === undefined) return undefined;
  await client.query('delete from holdfast.trail where seq = $1', [row.seq]);
  return { kinds: ['chain'] };
}
