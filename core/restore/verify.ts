/**
 * The last check before a restore commits, inside its transaction: every touched record is what was wanted, and nothing else
 * was written. It reads the tables again, in its own words, and shares nothing with the statements that did the work.
 */
import { RestoreError } from '../errors.ts';
import { type Client, ident } from '../sql.ts';
import { union } from './batch.ts';
import type { Scope } from './diff.ts';
import type { StagedTable } from './stage.ts';
import { findTriggers } from './triggers.ts';

interface Difference {
  readonly table: string;
  readonly record: string | null;
  readonly problem: 'missing' | 'still there' | 'different';
  readonly columns: readonly string[];
}

/** @throws RestoreError HF_RESTORE_DIFFERS naming table, rows, columns, and the triggers that may be the reason */
export async function verify(client: Client, tables: readonly StagedTable[], scope: Scope): Promise<void> {
  const differences = await compare(client, tables);
  const strays = await strayChanges(client, tables, scope);
  if (differences.length === 0 && strays.length === 0) return;
  const touched = tables.filter((t) => [...differences, ...strays].some((d) => d.table === t.target.bound.name));
  const triggers = (await findTriggers(client, touched)).map((t) => `${t.trigger} on ${t.table}`);
  throw new RestoreError(
    'HF_RESTORE_DIFFERS',
    `After the restore ${describe(differences, strays)}. Nothing was kept.`,
    {
      action:
        triggers.length > 0
          ? `A trigger probably changed the values (${triggers.join(', ')}). Let the restore suspend triggers, or mend them.`
          : 'A foreign key action, rule or row-level policy interferes with the rows named in the details.',
      details: { differences: differences.slice(0, 20), strays: strays.slice(0, 20), triggers },
    },
  );
}

async function compare(client: Client, tables: readonly StagedTable[]): Promise<Difference[]> {
  const byId = new Map(tables.map((t) => [t.target.bound.id, t.target]));
  const rows = await union<{ id: number; record: string | null; unwanted: boolean; gone: boolean; attnum: number }>(
    client,
    tables.map(unlike),
  );
  return rows.map(({ id, record, unwanted, gone, attnum }) => {
    const { bound, columns } = byId.get(id)!;
    return {
      table: bound.name,
      record,
      problem: unwanted ? 'still there' : gone ? 'missing' : 'different',
      columns: unwanted || gone ? [] : columns.filter((c) => c.attnum === attnum).map((c) => c.name),
    };
  });
}

function unlike(staged: StagedTable): string {
  const { target, sql } = staged;
  const same = target.bound.key.map((k, i) => `w.${ident(k)} operator(${ident(keyEquals(staged, i))}.=) l.${ident(k)}`);
  const unequal = target.columns.map((c) => {
    const shown = (row: string) => `format('%s|%s', ${row}.${ident(c.name)} is null, ${row}.${ident(c.name)})`;
    return `when ${shown('l')} collate "C" <> ${shown('w')} collate "C" then ${c.attnum}`;
  });
  return `select ${target.bound.id} as id, w._hf_record as record, w._hf_do = 'D' as unwanted, l.tableoid is null as gone, x.attnum
       from ${sql} w left join ${target.sql} l on ${same.join(' and ')}
      cross join lateral (select case ${unequal.join(' ')} end as attnum) x
      where w._hf_kind = 'F' and (l.tableoid is null or x.attnum is not null)
         or w._hf_do = 'D' and l.tableoid is not null
      limit 20`;
}

const keyEquals = (staged: StagedTable, i: number): string =>
  staged.target.columns.find((c) => c.name === staged.target.bound.key[i])!.equals;

interface Stray {
  readonly table: string;
  readonly record: string | null;
  readonly action: string;
  readonly tenant: string | null;
}

/** Changes that this very transaction put into the trail beyond what was staged: cascades, triggers, another tenant's rows. */
async function strayChanges(client: Client, tables: readonly StagedTable[], scope: Scope): Promise<Stray[]> {
  const staged = tables.map(
    (t) =>
      `select ${t.target.bound.id} as table_id, _hf_record as record from ${t.sql} where _hf_do in ('I', 'U', 'D', 'R')`,
  );
  const { rows } = await client.query(
    `select coalesce(n.name, c.table_id::text) as "table", c.record, c.action::text as action, c.organization as tenant
       from holdfast.trail c left join holdfast.tables n on n.id = c.table_id
      where c.xid = pg_current_xact_id()::text::bigint and c.at >= transaction_timestamp()
        and (c.organization is distinct from $1
             -- A row whose parent changed hands is logged as moved with it, and is itself what it was.
             or c.metadata -> 'follows' is null and not exists (select from (${staged.length > 0 ? staged.join(' union all ') : 'select 0 as table_id, null::text as record'}) s
                             where s.table_id = c.table_id and s.record = c.record))
      limit 20`,
    [scope.tenant],
  );
  return rows as Stray[];
}

function describe(differences: readonly Difference[], strays: readonly Stray[]): string {
  const d = differences[0];
  if (d) {
    const columns = d.columns.length > 0 ? ` (column ${d.columns.join(', ')})` : '';
    return `record ${d.record} of ${d.table} is ${d.problem}${columns}`;
  }
  const s = strays[0]!;
  return `record ${s.record} of ${s.table} was changed (${s.action}) although the restore does not include it`;
}
