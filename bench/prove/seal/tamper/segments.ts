/** Segments, leaves, salts and chains that are altered or go. */
import type { FaultKind } from '../../../../core/history/seal/types.ts';
import { canonicalJson } from '../../../../core/snapshot/canonical.ts';
import type { Random } from '../../suite.ts';
import type { World } from '../world.ts';
import { forge } from './forge.ts';
import { anyRow, SCRUBBED, type Tampering } from './tampering.ts';

interface Segment {
  readonly chain: number;
  readonly number: string;
  readonly tenant: string | null;
  readonly entry: string;
  readonly header: string;
  readonly leaves: Buffer;
}

async function anySegment(world: World, random: Random, least = 1): Promise<Segment | undefined> {
  const { rows: all } = await world.client.query(
    'select chain, number::text, tenant, entry::text, header, leaves from holdfast.seal_segments where length(leaves) >= 40 * $1 order by chain, seal_segments.number',
    [least],
  );
  return all.length > 0 ? random.pick(all as Segment[]) : undefined;
}

const onSegment = (
  name: string,
  kinds: FaultKind[],
  set: string,
  values: (s: Segment, random: Random) => unknown[],
  least = 1,
): Tampering => ({
  name,
  async apply(world, random) {
    const segment = await anySegment(world, random, least);
    if (!segment) return undefined;
    await world.client.query(`update holdfast.seal_segments set ${set} where chain = $1 and number = $2`, [
      segment.chain,
      segment.number,
      ...values(segment, random),
    ]);
    return { kinds, tenant: segment.tenant };
  },
});

function altered(header: string, random: Random): string {
  const parsed = JSON.parse(header);
  const [name, value] = random.pick([
    ['sealedAt', '2026-01-01T00:00:00.000Z'],
    ['first', '1'],
    ['previous', 'f'.repeat(64)],
    ['from', '9:9:'],
  ] as const);
  return canonicalJson({ ...parsed, [name]: value });
}

export const segments: readonly Tampering[] = [
  onSegment('edit the header of a segment', ['chain', 'edited'], 'header = $3', (s, random) => [
    altered(s.header, random),
  ]),
  onSegment('edit a leaf', ['edited'], 'leaves = $3', ({ leaves }, random) => {
    const bytes = Buffer.from(leaves);
    bytes[random.int(bytes.length)]! ^= 1 << random.int(8);
    return [bytes];
  }),
  onSegment(
    'swap two leaves',
    ['edited'],
    'leaves = $3',
    ({ leaves }) => [Buffer.concat([leaves.subarray(40, 80), leaves.subarray(0, 40), leaves.subarray(80)])],
    2,
  ),
  onSegment('remove a leaf', ['edited'], 'leaves = $3', ({ leaves }) => [leaves.subarray(40)], 2),
  {
    name: 'remove a segment',
    async apply(world, random) {
      const segment = await anySegment(world, random);
      await world.client.query('delete from holdfast.seal_segments where chain = $1 and number = $2', [
        segment!.chain,
        segment!.number,
      ]);
      return { kinds: ['removed', 'chain'], tenant: segment!.tenant };
    },
  },
  {
    name: "remove a tenant's whole chain, with its rows",
    async apply(world, random) {
      const segment = await anySegment(world, random);
      if (!segment?.tenant) return undefined;
      await world.client.query('delete from holdfast.trail where organization = $1', [segment.tenant]);
      for (const table of ['seal_segments', 'seal_salts'])
        await world.client.query(`delete from holdfast.${table} where chain = $1`, [segment.chain]);
      if (random.chance(0.5))
        await world.client.query('delete from holdfast.seal_chains where id = $1', [segment.chain]);
      return { kinds: ['removed', 'chain'] };
    },
  },
  {
    name: 'forge a row, its leaf, its segment, and every link after it',
    async apply(world, random) {
      const row = await anyRow(world, random, `not ${SCRUBBED} and organization is not null`);
      if (!row) return undefined;
      return forge(world, row);
    },
  },
  {
    name: 'edit a salt',
    async apply(world, random) {
      const { rows: all } = await world.client.query(
        'select chain, number::text, salts from holdfast.seal_salts order by 1, 2',
      );
      const { chain, number, salts } = random.pick(all as { chain: number; number: string; salts: Buffer }[]);
      salts.fill(7);
      await world.client.query('update holdfast.seal_salts set salts = $3 where chain = $1 and number = $2', [
        chain,
        number,
        salts,
      ]);
      return { kinds: ['edited'] };
    },
  },
];
