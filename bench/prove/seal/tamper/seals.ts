/** Seals that are altered, go, or change places. */
import { join } from 'node:path';
import { KeyFile } from '../../../../adapters/local/keyFile.ts';
import type { FaultKind } from '../../../../core/history/seal/types.ts';
import { canonicalJson, signedBytes } from '../../../../core/snapshot/canonical.ts';
import type { Random } from '../../suite.ts';
import type { World } from '../world.ts';
import { cutOff } from './cutOff.ts';
import { last, type Tampering } from './tampering.ts';

const updateEntry = (
  name: string,
  kinds: FaultKind[],
  change: (entry: Record<string, unknown>, random: Random, world: World) => unknown,
): Tampering => ({
  name,
  async apply(world, random) {
    const number = 1 + random.int(await last(world));
    const { rows: docs } = await world.client.query('select document from holdfast.seal_entries where number = $1', [
      number,
    ]);
    const changed = await change(JSON.parse(docs[0].document), random, world);
    const text = typeof changed === 'string' ? changed : canonicalJson(changed);
    await world.client.query('update holdfast.seal_entries set document = $2 where number = $1', [number, text]);
    return { kinds, entry: number };
  },
});

export const seals: readonly Tampering[] = [
  updateEntry('edit a seal', ['signature'], (entry, random) => ({
    ...entry,
    [random.pick(['at', 'heads', 'previous', 'epoch', 'log'])]: 'x',
  })),
  updateEntry('edit a seal to be no seal', ['malformed'], (entry, random) =>
    random.pick(['{}', '', 'null', `${canonicalJson(entry)} `, '[]']),
  ),
  updateEntry('edit a signature', ['signature'], (entry) => {
    const signature = entry.signature as { value: string };
    const bytes = Buffer.from(signature.value, 'base64');
    bytes[5]! ^= 1;
    return { ...entry, signature: { ...signature, value: bytes.toString('base64') } };
  }),
  updateEntry('sign a seal with another key', ['key-unknown'], async (entry, random, world) => {
    const keys = await KeyFile.create(join(world.directory, `other-${random.int(1e9)}`));
    const forged = { ...entry, at: '2026-01-01T00:00:00.000Z', signature: undefined };
    return { ...forged, signature: await keys.sign(signedBytes(forged)) };
  }),
  {
    name: 'remove a seal',
    async apply(world, random) {
      const number = 1 + random.int((await last(world)) - 1);
      await world.client.query('delete from holdfast.seal_entries where number = $1', [number]);
      return { kinds: ['removed'], entry: number };
    },
  },
  {
    name: 'swap two seals',
    async apply(world, random) {
      const a = 1 + random.int((await last(world)) - 1);
      await world.client.query(
        'update holdfast.seal_entries set number = -number where number in ($1::bigint, $1::bigint + 1)',
        [a],
      );
      await world.client.query(
        'update holdfast.seal_entries set number = case number when -$1::bigint then $1::bigint + 1 else $1::bigint end where number < 0',
        [a],
      );
      return { kinds: ['reordered'], entry: a };
    },
  },
  {
    name: 'cut off the newest seals, with all that belongs to them',
    async apply(world, random) {
      const n = await last(world);
      const cut = n - random.int(2);
      await cutOff(world, cut);
      return { kinds: ['truncated'], entry: cut };
    },
  },
  {
    name: 'remove the whole log of seals',
    async apply(world) {
      await world.client.query(
        'truncate holdfast.seal_entries, holdfast.seal_segments, holdfast.seal_salts, holdfast.seal_chains',
      );
      return { kinds: ['truncated'] };
    },
  },
  {
    name: 'edit the rules',
    async apply(world, random) {
      await world.client.query(
        random.pick([
          "update holdfast.seal_rules set document = '{}'",
          "update holdfast.seal_rules set document = document || ' '",
        ]),
      );
      return { kinds: ['edited'] };
    },
  },
];
