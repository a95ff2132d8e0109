/**
 * What stands in the way of a staged undo apart from later edits: parents that are gone, rows that still point at what would go, and
 * unique values that another row holds. Found by looking, before anything is written, so that all of it can be named.
 */
import { tenantPredicate } from '../../datamap/reach.ts';
import { recordSql, recordText } from '../../history/record.ts';
import type { Text } from '../../history/types.ts';
import { type Client, ident, literal } from '../../sql.ts';
import type { Scope } from '../diff.ts';
import type { StagedTable } from '../stage.ts';
import { keyMatch, type TargetTable } from '../target.ts';
import type { Facts } from './desk.ts';
import type { RecordName } from './types.ts';

export interface Obstacle {
  readonly kind: 'missing' | 'referenced' | 'taken';
  readonly constraint: string;
  /** The staged record that cannot be undone as it is. */
  readonly record: RecordName;
  /** The other record: the parent that is missing, the row that points here, the holder of the value. null: not this tenant's to name. */
  readonly other: RecordName | null;
  /** Of a missing parent: the values that its key must have. */
  readonly values?: Readonly<Record<string, Text>>;
}

/** Obstacles found at a time; more are found when these are out of the way. */
const LIMIT = 1000;

export async function findObstacles(
  client: Client,
  tables: readonly StagedTable[],
  facts: Facts,
  scope: Scope,
): Promise<Obstacle[]> {
  const staged = new Map(tables.map((t) => [t.target.bound.name, t]));
  const found: Obstacle[] = [];
  for (const table of tables) {
    found.push(...(await missingParents(client, table, staged, facts)));
    found.push(...(await referencing(client, table, staged, facts, scope)));
    found.push(...(await taken(client, table, facts, scope)));
  }
  return found;
}

const equal = (target: TargetTable, column: string, a: string, b: string): string => {
  const schema = target.columns.find((c) => c.name === column)?.equals ?? 'pg_catalog';
  return `${a} operator(${ident(schema)}.=) ${b}`;
};

/** Rows that would point at a parent which neither is there nor comes back with them. */
async function missingParents(
  client: Client,
  child: StagedTable,
  staged: ReadonlyMap<string, StagedTable>,
  facts: Facts,
): Promise<Obstacle[]> {
  const found: Obstacle[] = [];
  for (const key of child.target.bound.foreignKeys) {
    const parent = facts.byName.get(key.parent);
    if (!parent) continue; // shared or unprotected: it cannot be brought back, and PostgreSQL names it
    const numbers = child.target.columns.filter((c) => key.columns.includes(c.name)).map((c) => c.attnum);
    const points = (to: string) =>
      key.columns
        .map((c, i) => equal(parent, key.parentColumns[i]!, `${to}.${ident(key.parentColumns[i]!)}`, `s.${ident(c)}`))
        .join(' and ');
    const coming = staged.get(key.parent);
    const stays = coming
      ? `and not exists (select from ${coming.sql} x where ${keyMatch(parent, 'x', 'p')}
           and (x._hf_do = 'D' or x._hf_do = 'U' and (${points('x')}) is not true))`
      : '';
    const comes = coming
      ? `and not exists (select from ${coming.sql} x where x._hf_do in ('I', 'U') and ${points('x')})`
      : '';
    const { rows } = await client.query(
      `select s._hf_record as record, array[${key.columns.map((c) => `format('%s', s.${ident(c)})`).join(', ')}] as values
         from ${child.sql} s
        where (s._hf_do = 'I' or s._hf_do = 'U' and s._hf_changed && '{${numbers.join(',')}}'::int2[])
          and ${key.columns.map((c) => `s.${ident(c)} is not null`).join(' and ')}
          and not exists (select from ${parent.sql} p where ${points('p')} ${stays}) ${comes}
        limit ${LIMIT}`,
    );
    for (const row of rows) {
      const values = Object.fromEntries(key.parentColumns.map((c, i) => [c, row.values[i] as string]));
      const whole = parent.bound.key.length === key.parentColumns.length && parent.bound.key.every((k) => k in values);
      found.push({
        kind: 'missing',
        constraint: key.name,
        record: { table: child.target.bound.name, record: row.record as string },
        other: whole ? { table: key.parent, record: recordText(parent.bound.key.map((k) => values[k]!)) } : null,
        values,
      });
    }
  }
  return found;
}

/** Rows of this tenant that point at a row which goes, and that the undo does not take along or point elsewhere. */
async function referencing(
  client: Client,
  parent: StagedTable,
  staged: ReadonlyMap<string, StagedTable>,
  facts: Facts,
  scope: Scope,
): Promise<Obstacle[]> {
  const { rows: going } = await client.query(`select from ${parent.sql} where _hf_do = 'D' limit 1`);
  if (going.length === 0) return [];
  const found: Obstacle[] = [];
  for (const key of parent.target.incoming) {
    const child = [...facts.targets.values()].find((t) => t.bound.oid === key.childOid);
    if (!child) continue; // not of this tenant's tables: refused by name before the write
    const points = (from: string) =>
      key.columns
        .map((c, i) =>
          equal(parent.target, key.parentColumns[i]!, `${from}.${ident(c)}`, `p.${ident(key.parentColumns[i]!)}`),
        )
        .join(' and ');
    const own = staged.get(child.bound.name);
    const accounted = own
      ? `and not exists (select from ${own.sql} s where ${keyMatch(child, 's', 'c')}
           and (s._hf_do = 'D' or s._hf_do = 'U' and (${points('s')}) is not true))`
      : '';
    const { rows } = await client.query(
      `select p._hf_record as record, ${recordSql(child.bound, 'c')} as other
         from ${parent.sql} p join ${child.sql} c on ${points('c')}
        where p._hf_do = 'D' and ${tenantPredicate(scope.bound, child.bound, 'c', literal(scope.tenant))} ${accounted}
        order by 1, 2 limit ${LIMIT}`,
    );
    for (const row of rows) {
      found.push({
        kind: 'referenced',
        constraint: key.name,
        record: { table: parent.target.bound.name, record: row.record as string },
        other: { table: child.bound.name, record: row.other as string },
      });
    }
  }
  return found;
}

/** Rows whose unique values another row holds that keeps them. */
async function taken(client: Client, table: StagedTable, facts: Facts, scope: Scope): Promise<Obstacle[]> {
  const { target, sql } = table;
  const found: Obstacle[] = [];
  for (const unique of facts.uniques.get(target.bound.id) ?? []) {
    if (!unique.columns.every((c) => target.columns.some((t) => t.name === c))) continue; // a generated column
    const same = unique.columns.map((c) => equal(target, c, `t.${ident(c)}`, `s.${ident(c)}`)).join(' and ');
    const differs = unique.columns.map((c) => equal(target, c, `x.${ident(c)}`, `t.${ident(c)}`)).join(' and ');
    const { rows } = await client.query(
      `select s._hf_record as record,
              case when ${tenantPredicate(scope.bound, target.bound, 't', literal(scope.tenant))} then ${recordSql(target.bound, 't')} end as holder
         from ${sql} s join ${target.sql} t on ${same}
        where (s._hf_do = 'I' or s._hf_do = 'U' and s._hf_changed && '{${unique.attnums.join(',')}}'::int2[])
          and not (s._hf_do = 'U' and ${keyMatch(target, 't', 's')})
          and not exists (select from ${sql} x where ${keyMatch(target, 'x', 't')}
                and (x._hf_do = 'D' or x._hf_do = 'U' and (${differs}) is not true))
        order by 1 limit ${LIMIT}`,
    );
    for (const row of rows) {
      found.push({
        kind: 'taken',
        constraint: unique.name,
        record: { table: target.bound.name, record: row.record as string },
        other: row.holder === null ? null : { table: target.bound.name, record: row.holder as string },
      });
    }
  }
  return found;
}
