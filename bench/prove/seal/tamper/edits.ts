/** Other values in rows that are sealed, and other contexts behind them. */
import type { Random } from '../../suite.ts';
import { anyRow, named, SCRUBBED, type Tampering } from './tampering.ts';

const edit = (what: string, set: string, condition = 'true'): Tampering => ({
  name: `edit ${what}`,
  async apply(world, random) {
    const row = await anyRow(world, random, `not ${SCRUBBED} and ${condition}`);
    if (!row) return undefined;
    await world.client.query(`update holdfast.trail t set ${set} where seq = $1`, [row.seq]);
    return { kinds: ['edited'], seq: row.seq };
  },
});

/** `change` gives the statement; $1 is the seq of a row that names an actor. */
const onContext = (name: string, change: (random: Random) => string): Tampering => ({
  name,
  async apply(world, random) {
    const row = await anyRow(world, random, `not ${SCRUBBED} and actor is not null`);
    if (!row) return undefined;
    await world.client.query(change(random), [row.seq]);
    return { kinds: ['edited'], seq: row.seq };
  },
});

const OPEN_VALUE =
  "changes = jsonb_set(changes, '{visits}', case jsonb_typeof(changes -> 'visits') when 'array' then '[\"7\",\"8\"]'::jsonb else '\"99\"' end)";

export const edits: readonly Tampering[] = [
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
  onContext('edit the context of an actor', (random) => {
    const set = random.pick([
      "user_email = 'mallory@example.org'",
      'ip_address = null, session_id = null',
      "user_agent = coalesce(user_agent, '') || '!'",
      "user_id = 'mallory'",
    ]);
    return `update holdfast.actors set ${set} where id = (select actor from holdfast.trail where seq = $1)`;
  }),
  onContext(
    'a second context under the id of one',
    () =>
      "insert into holdfast.actors select id, 'mallory', user_email from holdfast.actors where id = (select actor from holdfast.trail where seq = $1)",
  ),
  onContext(
    'remove a context',
    () => 'delete from holdfast.actors where id = (select actor from holdfast.trail where seq = $1)',
  ),
];
