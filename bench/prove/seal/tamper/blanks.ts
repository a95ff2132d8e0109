/** Values that look scrubbed, scrubbings that are altered, and a note of pruning that nobody signed. */
import { hash } from 'node:crypto';
import { canonicalJson } from '../../../../core/snapshot/canonical.ts';
import { anyRow, last, named, SCRUBBED, type Tampering } from './tampering.ts';

export const blanks: readonly Tampering[] = [
  {
    name: 'blank a value with no record',
    async apply(world, random) {
      const row = await anyRow(world, random, `not ${SCRUBBED} and changes ? 'name'`);
      if (!row) return undefined;
      await world.client.query(
        `update holdfast.trail set changes = jsonb_set(changes, '{name}', '{"redacted": true}') where seq = $1`,
        [row.seq],
      );
      return named(row, 'redaction');
    },
  },
  {
    name: 'blank a value under a forged record',
    async apply(world, random) {
      const row = await anyRow(world, random, `not ${SCRUBBED} and changes ? 'name' and organization is not null`);
      if (!row) return undefined;
      await world.client.query(
        `update holdfast.trail set changes = jsonb_set(changes, '{name}', '{"redacted": true}') where seq = $1`,
        [row.seq],
      );
      const entry = random.chance(0.5) ? await last(world) : 999;
      await world.client.query(
        `insert into holdfast.seal_redactions select $1, id, $2, sha256('a'), sha256('b'), sha256('c') from holdfast.seal_chains where tenant = $3`,
        [row.seq, entry, row.organization],
      );
      return named(row, 'redaction', 'edited');
    },
  },
  {
    name: 'edit what a lawful scrubbing left',
    async apply(world, random) {
      const row = await anyRow(world, random, SCRUBBED);
      // The record may have been scrubbed too.
      const set = random.pick(['user_id = $$x$$', "at = at + interval '1 s'", "record = concat(record, '1')"]);
      await world.client.query(`update holdfast.trail set ${set} where seq = $1`, [row!.seq]);
      return named(row!, 'edited');
    },
  },
  {
    name: 'edit the record of a lawful scrubbing',
    async apply(world, random) {
      const row = await anyRow(world, random, SCRUBBED);
      const set = random.pick(['sealed = sha256(sealed)', 'rest = sha256(rest)', 'salt = sha256(salt)']);
      await world.client.query(`update holdfast.seal_redactions set ${set} where seq = $1`, [row!.seq]);
      return named(row!, 'redaction', 'edited');
    },
  },
  {
    name: 'remove the record of a lawful scrubbing',
    async apply(world, random) {
      const row = await anyRow(world, random, SCRUBBED);
      const { rows: gone } = await world.client.query(
        'delete from holdfast.seal_redactions where seq = $1 returning entry::text',
        [row!.seq],
      );
      return { kinds: ['redaction'], entry: Number(gone[0].entry) };
    },
  },
  {
    name: 'a forged note of pruning',
    async apply(world, random) {
      const row = await anyRow(world, random);
      const n = await last(world);
      const { rows: docs } = await world.client.query('select document from holdfast.seal_entries where number = $1', [
        n,
      ]);
      const before = JSON.parse(docs[0].document);
      const forged = {
        ...before,
        kind: 'prune',
        number: n + 1,
        previous: hash('sha256', `${docs[0].document}\n`, 'hex'),
        through: '999999',
        except: [],
        partitions: ['trail_2020_01'],
        archivedBy: null,
      };
      await world.client.query('delete from holdfast.trail where seq = $1', [row!.seq]);
      await world.client.query('insert into holdfast.seal_entries values ($1, $2)', [n + 1, canonicalJson(forged)]);
      return random.chance(0.5) ? { kinds: ['signature'], entry: n + 1 } : named(row!, 'removed');
    },
  },
];
