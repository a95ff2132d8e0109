/**
 * Reads a backup's log out of the trail: changes that `to` sees and `from` does not. Which transactions those are, and when
 * each became visible, stands in the horizons between the two.
 */
import type pg from 'pg';
import type { BoundMap, BoundTable } from '../datamap/types.ts';
import { literal, READ_SNAPSHOT, transaction } from '../sql.ts';
import { copyRows } from './copyRows.ts';
import { arrayText } from './literals.ts';
import { PartBuilder, type PartOptions } from './parts.ts';
import type { RowSource } from './rowSource.ts';

/** Pseudo-tables of a log slab; docs/backup-format.md describes their columns. */
export const TRAIL = 'holdfast.trail';
const ACTORS = 'holdfast.actors';

export interface LogSpec {
  /** `holdfast.horizons.id`: exclusive, inclusive. */
  readonly fromId: bigint;
  readonly toId: bigint;
  /** null: all tenants. */
  readonly tenant: string | null;
  readonly tables: readonly BoundTable[];
  /** Of `to`; recorded in the objects. */
  readonly snapshot: string;
}

/** Hands the log over in parts of about `cut` raw bytes, in the order of `seq`. */
export async function readLog(client: pg.Client, bound: BoundMap, spec: LogSpec, options: PartOptions): Promise<void> {
  const range = await readRange(client, spec);
  if (!range || spec.tables.length === 0) return;
  const facts = await tableFacts(client, bound, spec.tables);
  const parts = new PartBuilder(options);
  await transaction(client, READ_SNAPSHOT, async () => {
    // The trail is found by its indexes; a sequential scan would read all of history for the last hour.
    await client.query('set local enable_seqscan = off');
    // The planner takes an array for ten rows, and would search the trail once for each of its thousand transactions.
    await client.query('set local enable_nestloop = off');
    await parts.begin(spec.snapshot);
    try {
      for (const source of [trailSource(spec, range, facts), actorSource(spec, range, facts)])
        await parts.read(source, (arena, sink) => copyRows(client, source.sql, arena, sink));
    } catch (error) {
      parts.drop();
      throw error;
    }
  });
  parts.handOver();
}

/** Bounds that the trail's indexes understand. */
interface Range {
  readonly firstXid: string;
  readonly lastXid: string;
  readonly firstAt: string | null;
}

async function readRange(client: pg.Client, spec: LogSpec): Promise<Range | undefined> {
  const { rows } = await client.query<{ first_xid: string | null; last_xid: string; first_at: string | null }>(
    `select min(x.xid)::text as first_xid, max(x.xid)::text as last_xid,
            (select min(first_at)::text from holdfast.horizons where id > $1 and id <= $2) as first_at
       from holdfast.horizons h, unnest(h.xids) as x (xid) where h.id > $1 and h.id <= $2`,
    [spec.fromId, spec.toId],
  );
  const { first_xid, last_xid, first_at } = rows[0]!;
  return first_xid === null ? undefined : { firstXid: first_xid, lastXid: last_xid, firstAt: first_at };
}

/** A table as it was for changes with `seq` in `[low, high)`. */
interface TableFact {
  readonly id: number;
  readonly name: string;
  readonly version: number;
  readonly low: string;
  readonly high: string;
  /** Names of columns that go under the person's key, and of all others. */
  readonly sealed: readonly string[];
  readonly open: readonly string[];
}

async function tableFacts(client: pg.Client, bound: BoundMap, tables: readonly BoundTable[]): Promise<TableFact[]> {
  const { rows } = await client.query<{ id: number; version: number; low: string; high: string; columns: string[] }>(
    `select table_id as id, version, from_seq::text as low,
            lead(from_seq, 1, 9223372036854775807) over (partition by table_id order by version)::text as high,
            (select array_agg(c ->> 'name') from jsonb_array_elements(columns) c) as columns
       from holdfast.table_versions where table_id = any($1)`,
    [tables.map((t) => t.id)],
  );
  return rows.map((row) => {
    const table = bound.tables.find((t) => t.id === row.id)!;
    const open = table.columns.filter((c) => !c.rule.sealed || !table.person).map((c) => c.name);
    const every = new Set([
      ...table.columns.map((c) => c.name),
      ...rows.filter((r) => r.id === row.id).flatMap((r) => r.columns),
    ]);
    // A column that is no longer there has no rule: it is sealed, where rows have a person to seal for.
    const sealed = table.person ? [...every].filter((name) => !open.includes(name)) : [];
    return { ...row, name: table.name, sealed, open: [...every].filter((name) => !sealed.includes(name)) };
  });
}

/** `from … where …` for the changes of the log: t the trail, c their commit times, r the facts of their tables. */
function changesSql(spec: LogSpec, range: Range, facts: readonly TableFact[]): string {
  const values = facts.map(
    (f) =>
      `(${f.id}, ${literal(f.name)}, ${f.version}, ${f.low}::bigint, ${f.high}::bigint, ${literal(arrayText(f.sealed))}::text[], ${literal(arrayText(f.open))}::text[])`,
  );
  const shared = spec.tables.filter((t) => !t.tenant).map((t) => t.id);
  const scope =
    spec.tenant === null
      ? ''
      : ` and (t.organization = ${literal(spec.tenant)} or (t.organization is null and t.table_id = any('{${shared.join(',')}}')))`;
  const at = range.firstAt === null ? '' : ` and t.at >= ${literal(range.firstAt)}::timestamptz`;
  return `from holdfast.trail t
    join (select u.xid, u.committed from holdfast.horizons h, unnest(h.xids, h.committed) as u (xid, committed)
           where h.id > ${spec.fromId} and h.id <= ${spec.toId}) c on c.xid = t.xid
    join (values ${values.join(', ')}) as r (id, name, version, low, high, sealed, open)
      on r.id = t.table_id and t.seq >= r.low and t.seq < r.high
   where t.xid >= ${range.firstXid} and t.xid <= ${range.lastXid}${at}${scope}`;
}

function trailSource(spec: LogSpec, range: Range, facts: readonly TableFact[]): RowSource {
  const owned = "t.person is not null and r.sealed <> '{}'";
  const columns: [string, string][] = [
    ['seq', 't.seq'],
    ['before_seq', 't.before_seq'],
    ['xid', 't.xid'],
    ['committed', 'c.committed'],
    ['at', 't.at'],
    ['table', 'r.name'],
    ['version', 'r.version'],
    ['action', 't.action'],
    ['record', 't.record'],
    ['person', 't.person'],
    ['user_id', 't.user_id'],
    ['actor', 't.actor'],
    ['changes', `case when ${owned} then t.changes - r.sealed else t.changes end`],
    ['metadata', 't.metadata'],
  ];
  const sealed = `case when ${owned} then nullif(t.changes - r.open, '{}') end`;
  const selected = ['t.organization', `case when ${owned} then t.person end`, ...columns.map(([, sql]) => sql), sealed];
  return {
    table: TRAIL,
    sql: `copy (select ${selected.join(', ')} ${changesSql(spec, range, facts)} order by t.seq) to stdout`,
    layout: { tenantField: 0, personField: 1, helpers: 2, open: columns.length, sealed: 1, ordered: true },
    columns: columns.map(([name]) => name),
    sealed: ['changes_sealed'],
    tenant: null,
  };
}

/** The contexts that these changes refer to, sealed for the acting user: an e-mail and an address are theirs. */
function actorSource(spec: LogSpec, range: Range, facts: readonly TableFact[]): RowSource {
  const columns = ['id', 'user_id'];
  const sealed = ['user_email', 'session_id', 'ip_address', 'user_agent'];
  const selected = [...columns, ...sealed].map((name) => `a.${name}`);
  return {
    table: ACTORS,
    sql: `copy (select distinct on (s.organization, a.id) s.organization, a.user_id, ${selected.join(', ')}
            from (select distinct t.organization, t.actor ${changesSql(spec, range, facts)} and t.actor is not null) s
            join holdfast.actors a on a.id = s.actor order by s.organization, a.id) to stdout`,
    layout: { tenantField: 0, personField: 1, helpers: 2, open: columns.length, sealed: sealed.length },
    columns,
    sealed,
    tenant: null,
  };
}
