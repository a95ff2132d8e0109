/** Every way to tamper with a sealed database that its ruler has, who lacks only the signing key and the store. */
import { hash } from 'node:crypto';
import { join } from 'node:path';
import { KeyFile } from '../../../adapters/local/keyFile.ts';
import type { FaultKind } from '../../../core/history/seal/types.ts';
import { canonicalJson, signedBytes } from '../../../core/snapshot/canonical.ts';
import type { Random } from '../suite.ts';
import type { World } from './world.ts';

/** What a fault must say for the tampering to count as found and named. */
export interface Expected {
  readonly kinds: readonly FaultKind[];
  readonly seq?: string;
  readonly tenant?: string | null;
  readonly entry?: number;
}

export interface Tampering {
  readonly name: string;
  /** Undefined: the world has nothing to do this to. */
  apply(world: World, random: Random): Promise<Expected | undefined>;
}

interface Row {
  readonly seq: string;
  readonly xid: string;
  readonly organization: string | null;
}

const SCRUBBED = 'exists (select from holdfast.seal_redactions r where r.seq = t.seq)';

const SEALED = `pg_visible_in_snapshot(t.xid::text::xid8, (
  select (document::jsonb ->> 'to')::pg_snapshot from holdfast.seal_entries where document::jsonb ->> 'kind' = 'batch' order by number desc limit 1))`;

async function anyRow(world: World, random: Random, condition = `not ${SCRUBBED}`): Promise<Row | undefined> {
  const { rows } = await world.client.query(
    `select t.seq::text, t.xid::text, t.organization from holdfast.trail t where ${condition} and ${SEALED} order by t.seq`,
  );
  return rows.length > 0 ? random.pick(rows as Row[]) : undefined;
}

async function last(world: World): Promise<number> {
  return Number((await world.client.query('select max(number)::text as n from holdfast.seal_entries')).rows[0].n);
}

const named = (row: Row, ...kinds: FaultKind[]): Expected => ({ kinds, seq: row.seq, tenant: row.organization });

const edit = (what: string, set: string, condition = 'true'): Tampering => ({
  name: `edit ${what}`,
  async apply(world, random) {
    const row = await anyRow(world, random, `not ${SCRUBBED} and ${condition}`);
    if (!row) return undefined;
    await world.client.query(`update holdfast.trail t set ${set} where seq = $1`, [row.seq]);
    return { kinds: ['edited'], seq: row.seq };
  },
});

const OPEN_VALUE =
  "changes = jsonb_set(changes, '{visits}', case jsonb_typeof(changes -> 'visits') when 'array' then '[\"7\",\"8\"]'::jsonb else '\"99\"' end)";

const edits: readonly Tampering[] = [
  edit('an open value', OPEN_VALUE, "changes ? 'visits'"),
  edit('a personal value', `changes = jsonb_set(changes, '{name}', '"Mallory"')`, "changes ? 'name'"),
  edit('a value to null', `changes = jsonb_set(changes, '{email}', 'null')`, "changes ->> 'email' is not null"),
  edit(
    'the name of a column',
    "changes = (changes - 'name') || jsonb_build_object('nome', changes -> 'name')",
    "changes ? 'name'",
  ),
  edit('a column away', "changes = changes - 'visits'", "changes ? 'visits'"),
  edit('a column more', `changes = changes || '{"admin": "true"}'`, 'changes is not null'),
  edit('the action', "action = case when action = 'D' then 'I' else 'D' end::\"char\""),
  edit('the time', "at = at + interval '1 microsecond'"),
  edit('the table', 'table_id = table_id % 3 + 1'),
  edit('the record', "record = record || '0'", 'record is not null'),
  edit('the person', "person = coalesce(person || '0', 'someone')"),
  edit('the user', "user_id = coalesce(user_id, '') || 'x'"),
  edit('the actor away', 'actor = null', 'actor is not null'),
  edit(
    'the actor to another',
    'actor = (select a.id from holdfast.actors a where a.id <> t.actor limit 1)',
    'actor is not null',
  ),
  edit('the metadata', `metadata = coalesce(metadata, '{}') || '{"moved": false}'`),
  edit('the place in the order', 'before_seq = coalesce(before_seq, seq) - 1'),
  edit('the tuple', "row_version = '(9,9)'"),
  edit('the partition', 'row_table = 1'),
  {
    name: 'edit the tenant',
    async apply(world, random) {
      const row = await anyRow(world, random, `not ${SCRUBBED} and organization is not null`);
      if (!row) return undefined;
      await world.client.query('update holdfast.trail set organization = $2 where seq = $1', [
        row.seq,
        row.organization === 'acme' ? 'blue' : 'acme',
      ]);
      return { kinds: ['edited'], seq: row.seq, tenant: row.organization };
    },
  },
  {
    name: 'edit the transaction to one sealed elsewhere',
    async apply(world, random) {
      const [row, other] = [await anyRow(world, random), await anyRow(world, random)];
      if (!row || !other || row.xid === other.xid) return undefined;
      await world.client.query('update holdfast.trail set xid = $2 where seq = $1', [row.seq, other.xid]);
      return { kinds: ['edited', 'removed'], seq: row.seq };
    },
  },
  {
    name: 'edit the transaction to one still to come',
    async apply(world, random) {
      const row = await anyRow(world, random);
      await world.client.query('update holdfast.trail set xid = xid + 1000000000 where seq = $1', [row!.seq]);
      return { ...named(row!, 'removed', 'edited') };
    },
  },
  {
    name: 'edit the context of an actor',
    async apply(world, random) {
      const row = await anyRow(world, random, `not ${SCRUBBED} and actor is not null`);
      if (!row) return undefined;
      const set = random.pick([
        "user_email = 'mallory@example.org'",
        'ip_address = null, session_id = null',
        "user_agent = coalesce(user_agent, '') || '!'",
        "user_id = 'mallory'",
      ]);
      await world.client.query(
        `update holdfast.actors set ${set} where id = (select actor from holdfast.trail where seq = $1)`,
        [row.seq],
      );
      return { kinds: ['edited'], seq: row.seq };
    },
  },
  {
    name: 'a second context under the id of one',
    async apply(world, random) {
      const row = await anyRow(world, random, `not ${SCRUBBED} and actor is not null`);
      if (!row) return undefined;
      await world.client.query(
        "insert into holdfast.actors select id, 'mallory', user_email from holdfast.actors where id = (select actor from holdfast.trail where seq = $1)",
        [row.seq],
      );
      return { kinds: ['edited'], seq: row.seq };
    },
  },
  {
    name: 'remove a context',
    async apply(world, random) {
      const row = await anyRow(world, random, `not ${SCRUBBED} and actor is not null`);
      if (!row) return undefined;
      await world.client.query(
        'delete from holdfast.actors where id = (select actor from holdfast.trail where seq = $1)',
        [row.seq],
      );
      return { kinds: ['edited'], seq: row.seq };
    },
  },
];

const rows: readonly Tampering[] = [
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

const blanks: readonly Tampering[] = [
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

const seals: readonly Tampering[] = [
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

const digestOf = (header: string): string => hash('sha256', `holdfast-segment-1\n${header}`, 'hex');

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

const segments: readonly Tampering[] = [
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

/** All that can be done without the key. The leaf of the removed row goes with it, so that nothing in the segment disagrees. */
async function forge(world: World, row: Row): Promise<Expected | undefined> {
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

export const tamperings: readonly Tampering[] = [...edits, ...rows, ...blanks, ...seals, ...segments];
