/**
 * Old values beside new ones: one temporary table per copied table, with each row as it was and, for every column that
 * changes, its new value. References are carried over row by row: a row gets the new values of the very row that it pointed
 * at, whether by one column or several, to its own table or round a circle.
 */
import { reachSql, tableNamed } from '../../datamap/reach.ts';
import type { BoundMap } from '../../datamap/types.ts';
import { recordSql } from '../../history/record.ts';
import { type Client, ident, literal } from '../../sql.ts';
import { components } from '../order.ts';
import type { Stage, StagedTable } from '../stage.ts';
import type { TargetTable } from '../target.ts';
import type { Reissue } from './keys.ts';
import { type Reference, tenantColumn } from './references.ts';
import type { LostReference } from './types.ts';

export interface MappedTable {
  readonly target: TargetTable;
  readonly references: readonly Reference[];
  /** Columns that may change. */
  readonly changing: readonly string[];
  /** SQL name; old columns under their own names, new ones under `newName`. */
  readonly sql: string;
}

const newName = (target: TargetTable, column: string): string =>
  ident(`_hf_new_${target.columns.find((c) => c.name === column)!.attnum}`);

/** Makes the table and fills in what does not depend on other rows: the tenant, and new keys. */
export async function startMapping(
  client: Client,
  source: StagedTable,
  references: readonly Reference[],
  keys: readonly Reissue[],
  into: string,
): Promise<MappedTable> {
  const { target } = source;
  const { bound } = target;
  const tenant = tenantColumn(bound);
  const own = keys.filter((k) => k.table === bound.name);
  const changing = target.columns
    .map((c) => c.name)
    .filter((c) => c === tenant || own.some((k) => k.column === c) || references.some((r) => r.columns.includes(c)));
  const first = (column: string) => {
    if (column === tenant) return literal(into);
    const key = own.find((k) => k.column === column);
    return key ? `(${key.sql})` : `s.${ident(column)}`;
  };
  const type = (column: string) => target.columns.find((c) => c.name === column)!.stageType;
  const sql = `pg_temp.${ident(`_hf_map_${bound.id}`)}`;
  const order = bound.key.map((k) => ident(k)).join(', ');
  // Defaults may lean on the application's search path.
  await client.query('set local search_path to default');
  await client.query(
    `create temporary table ${sql} on commit drop as
     select row_number() over () as _hf_row, s._hf_record, ${target.columns.map((c) => `s.${ident(c.name)}`).join(', ')}
            ${changing.map((c) => `, ${first(c)}::${type(c)} as ${newName(target, c)}`).join('')}
       from (select * from ${source.sql} order by ${order}) s`,
  );
  await client.query("select set_config('search_path', 'pg_catalog', true)");
  await client.query(`analyze ${sql}`);
  return { target, references, changing, sql };
}

/** Carries every reference over, parents first; keys that follow each other in a circle are gone round until all have. */
export async function carryReferences(
  client: Client,
  bound: BoundMap,
  tables: readonly MappedTable[],
  keys: readonly Reissue[],
  about: { readonly from: string; readonly into: string },
): Promise<void> {
  const byName = new Map(tables.map((t) => [t.target.bound.name, t]));
  const steps = tables.flatMap((child) =>
    child.references.flatMap((reference) =>
      reference.columns.flatMap((column, i) => {
        const settled =
          column === tenantColumn(child.target.bound) ||
          keys.some((k) => k.table === child.target.bound.name && k.column === column);
        return settled ? [] : [{ child, reference, column, parentColumn: reference.parentColumns[i]! }];
      }),
    ),
  );
  const gives = (table: string, column: string) =>
    steps.filter((s) => s.child.target.bound.name === table && s.column === column);
  const groups = components(steps, (s) => gives(s.reference.parent.name, s.parentColumn));
  for (const group of groups) {
    for (const _ of group) {
      for (const { child, reference, column, parentColumn } of group) {
        if (reference.parent.name === bound.map.tenants.table) {
          await followTenant(client, bound, child, reference, column, parentColumn, about);
          continue;
        }
        const parent = byName.get(reference.parent.name);
        if (!parent?.changing.includes(parentColumn)) continue;
        await client.query(
          `update ${child.sql} c set ${newName(child.target, column)} = p.${newName(parent.target, parentColumn)} from ${parent.sql} p
            where ${pointsAt(reference, 'c', parent.target, 'p')}`,
        );
      }
    }
  }
}

/** What points at the tenant's own row points at the other tenant's afterwards. */
async function followTenant(
  client: Client,
  bound: BoundMap,
  child: MappedTable,
  reference: Reference,
  column: string,
  parentColumn: string,
  about: { readonly from: string; readonly into: string },
): Promise<void> {
  const { tenants } = bound.map;
  const parent = tableNamed(bound, tenants.table);
  const sql = `${ident(parent.schema)}.${ident(parent.relname)}`;
  const same = reference.columns
    .map((c, i) => `c.${ident(c)} ${equals(bound, reference, i)} o.${ident(reference.parentColumns[i]!)}`)
    .join(' and ');
  const type = child.target.columns.find((c) => c.name === column)!.stageType;
  await client.query(
    `update ${child.sql} c set ${newName(child.target, column)} = n.${ident(parentColumn)}::${type} from ${sql} o, ${sql} n
      where o.${ident(tenants.key)}::text = $1 and n.${ident(tenants.key)}::text = $2 and ${same}`,
    [about.from, about.into],
  );
  if (parentColumn !== tenants.key) return;
  // The tenant itself may be gone: then its key is all that is known of it.
  await client.query(
    `update ${child.sql} c set ${newName(child.target, column)} = ${literal(about.into)}::${type} where c.${ident(column)}::text = $1`,
    [about.from],
  );
}

/**
 * References to rows that are not copied. A row that belongs to nobody, or to the receiving tenant, may stay pointed at; any
 * other would tie the two tenants together, so the column is emptied where it may be.
 */
export async function loseReferences(
  client: Client,
  bound: BoundMap,
  tables: readonly MappedTable[],
  into: string,
): Promise<{ cleared: LostReference[]; missing: LostReference[] }> {
  const cleared: LostReference[] = [];
  const missing: LostReference[] = [];
  for (const child of tables) {
    for (const reference of child.references) {
      if (reference.parent.name === bound.map.tenants.table) continue;
      const parent = tables.find((t) => t.target.bound.name === reference.parent.name);
      const { bound: own } = child.target;
      const condition = lostRows(bound, reference, parent, into);
      const found = await client.query(
        `select count(*) over ()::int as rows, c._hf_record as record from ${child.sql} c where ${condition} order by c._hf_row limit 5`,
      );
      if (found.rows.length === 0) continue;
      const lost: LostReference = {
        table: own.name,
        columns: reference.columns,
        parent: reference.parent.name,
        constraint: reference.constraint,
        rows: found.rows[0].rows,
        records: found.rows.map((r) => r.record as string),
      };
      const empty = reference.columns.filter(
        (c) => c !== tenantColumn(own) && !own.key.includes(c) && !own.columns.find((o) => o.name === c)!.notNull,
      );
      if (empty.length === 0) {
        missing.push(lost);
        continue;
      }
      await client.query(
        `update ${child.sql} c set ${empty.map((c) => `${newName(child.target, c)} = null`).join(', ')} where ${condition}`,
      );
      cleared.push(lost);
    }
  }
  return { cleared, missing };
}

function lostRows(bound: BoundMap, reference: Reference, parent: MappedTable | undefined, into: string): string {
  const { schema, relname } = reference.parent;
  const owner = reachSql(bound, reference.parent, 'tenant', 'l');
  const match = (alias: string) =>
    reference.columns
      .map((c, i) => `${alias}.${ident(reference.parentColumns[i]!)} ${equals(bound, reference, i)} c.${ident(c)}`)
      .join(' and ');
  const copied = parent ? ` and not exists (select from ${parent.sql} p where ${match('p')})` : '';
  return `${reference.columns.map((c) => `c.${ident(c)} is not null`).join(' and ')}${copied}
    and not exists (select from ${ident(schema)}.${ident(relname)} l ${owner.joins}
                     where ${match('l')} and coalesce(${owner.expression}, ${literal(into)}) = ${literal(into)})`;
}

function pointsAt(reference: Reference, child: string, parent: TargetTable, alias: string): string {
  return reference.columns
    .map((column, i) => {
      const to = reference.parentColumns[i]!;
      const { equals: schema } = parent.columns.find((c) => c.name === to)!;
      return `${child}.${ident(column)} operator(${ident(schema)}.=) ${alias}.${ident(to)}`;
    })
    .join(' and ');
}

const equals = (bound: BoundMap, reference: Reference, i: number): string =>
  tableNamed(bound, reference.parent.name).columns.find((c) => c.name === reference.parentColumns[i])?.equals ?? '=';

/** The rows as they will be: `select _hf_row, <columns> …`, for a FROM clause. */
export function newRows({ target, changing, sql }: MappedTable): string {
  const columns = target.columns.map((c) =>
    changing.includes(c.name) ? `m.${newName(target, c.name)} as ${ident(c.name)}` : `m.${ident(c.name)}`,
  );
  return `(select m._hf_row, m._hf_record as _hf_old, ${columns.join(', ')} from ${sql} m)`;
}

/** Puts the new rows on the stage that `apply` works from. */
export async function stageNewRows(
  client: Client,
  stage: Stage,
  tables: readonly MappedTable[],
): Promise<StagedTable[]> {
  const result: StagedTable[] = [];
  for (const table of tables) {
    const { bound, columns } = table.target;
    const staged = await stage.table(bound.id);
    const names = columns.map((c) => ident(c.name));
    await client.query(`alter table ${staged.sql} add column _hf_row bigint`);
    await client.query(
      `insert into ${staged.sql} (_hf_row, _hf_record, ${names.join(', ')})
       select n._hf_row, ${recordSql(bound, 'n')}, ${names.map((c) => `n.${c}`).join(', ')} from ${newRows(table)} n order by n._hf_row`,
    );
    await client.query(`analyze ${staged.sql}`);
    result.push(staged);
  }
  return result;
}
