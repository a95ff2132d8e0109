/**
 * Logs of a chain of backups, sorted by the server that is being restored. A temporary table takes the log slabs as they are,
 * spills to disk when they are large, drops what overlaps, and gives the changes back record by record. Memory here stays flat.
 */
import type { BoundMap } from '../datamap/types.ts';
import type { Change, Text } from '../history/types.ts';
import type { Moment } from '../moment.ts';
import { formatMoment } from '../moment.ts';
import { TRAIL } from '../snapshot/readLog.ts';
import type { SlabReader } from '../snapshot/readSlab.ts';
import type { OpenSection } from '../snapshot/types.ts';
import { type Client, ident, literal } from '../sql.ts';
import type { Chain } from './chain.ts';
import { copyIn } from './copy.ts';
import { splitErased } from './erasedRows.ts';
import { SlabQueue, slabsOf } from './slabQueue.ts';

const COLUMNS: Readonly<Record<string, string>> = {
  seq: 'bigint',
  before_seq: 'bigint',
  xid: 'bigint',
  committed: 'timestamptz',
  at: 'timestamptz',
  table: 'text collate "C"',
  version: 'integer',
  action: '"char"',
  record: 'text collate "C"',
  person: 'text',
  user_id: 'text',
  actor: 'uuid',
  changes: 'jsonb',
  metadata: 'jsonb',
  changes_sealed: 'jsonb',
};
const LOG = 'pg_temp."_hf_log"';

/** Loads every change of the wanted tenants that the chain's logs hold. Returns how many there are, repeated ones included. */
export async function loadLogs(
  client: Client,
  reader: SlabReader,
  chain: Chain,
  wanted: (tenant: string) => boolean,
): Promise<number> {
  const slabs = chain.logs.flatMap((manifest) => slabsOf(manifest, 'log', wanted));
  if (slabs.length === 0) return 0;
  const columns = Object.entries(COLUMNS).map(([name, type]) => `${ident(name)} ${type}`);
  await client.query(`create temporary table ${LOG} (${columns.join(', ')}, erased boolean not null default false)`);
  let count = 0;
  for await (const { sections } of new SlabQueue(reader, slabs).take()) {
    for (const section of sections) if (section.table === TRAIL) count += await loadSection(client, section);
  }
  await client.query(`analyze ${LOG}`);
  return count;
}

async function loadSection(client: Client, section: OpenSection): Promise<number> {
  const { kept, erased } = splitErased(section);
  const names = section.columns.map(ident).join(', ');
  let count = await copyIn(client, `copy ${LOG} (${names}) from stdin`, [kept]);
  if (erased.length > 0) {
    const flagged = erased.toString().replaceAll('\n', '\tt\n');
    count += await copyIn(client, `copy ${LOG} (${names}, erased) from stdin`, [flagged]);
  }
  return count;
}

/**
 * The changes committed by `moment`, ordered for folding. `tables` are those to be restored; changes of others are left out.
 * Changes whose personal values went with an erased person's key keep the rest, where the table anonymises; where it
 * deletes, they are left out, as the rows themselves are.
 */
export async function* readLogs(client: Client, bound: BoundMap, moment: Moment): AsyncGenerator<LoggedChange> {
  const tables = bound.tables.map((t) => `(${literal(t.name)}, ${t.id}, ${t.erase === 'delete'})`);
  await client.query(
    `declare _hf_changes no scroll cursor for
     select distinct on (t.id, l.record, coalesce(l.before_seq, l.seq), l.seq)
            l.seq, l.before_seq, l.xid, l.at::text, t.id as table, l.version, l.action::text, l.record, l.person, l.user_id, l.actor,
            coalesce(l.changes, '{}') || coalesce(l.changes_sealed, '{}') as changes, l.metadata, l.erased
       from ${LOG} l join (values ${tables.join(', ')}) t (name, id, deletes) on t.name = l."table"
      where l.committed <= ${literal(formatMoment(moment))}::timestamptz and not (l.erased and t.deletes)
      order by t.id, l.record, coalesce(l.before_seq, l.seq), l.seq desc`,
  );
  const personal = new Map(
    bound.tables.map((t) => [
      t.id,
      Object.fromEntries(t.columns.filter((c) => c.rule.sealed).map((c) => [c.name, null])),
    ]),
  );
  for (;;) {
    const { rows } = await client.query('fetch 2000 from _hf_changes');
    if (rows.length === 0) break;
    for (const row of rows) yield asChange(row, row.erased && row.action !== 'U' ? personal.get(row.table) : undefined);
  }
  await client.query('close _hf_changes');
}

/** A change and the version that its table had. */
export type LoggedChange = Change & { readonly version: number };

interface LogRow {
  version: number;
  seq: string;
  before_seq: string | null;
  xid: string;
  at: string;
  table: number;
  action: string;
  record: string | null;
  person: string | null;
  user_id: string | null;
  actor: string | null;
  changes: Record<string, Text>;
  metadata: Record<string, unknown> | null;
}

function asChange(row: LogRow, gone: Record<string, null> | undefined): LoggedChange {
  return {
    seq: BigInt(row.seq),
    before: row.before_seq === null ? null : BigInt(row.before_seq),
    xid: BigInt(row.xid),
    at: row.at,
    table: row.table,
    version: row.version,
    action: row.action as Change['action'],
    organization: null,
    record: row.record,
    person: row.person,
    userId: row.user_id,
    actor: row.actor,
    changes: gone ? { ...gone, ...row.changes } : row.changes,
    metadata: row.metadata,
  };
}
