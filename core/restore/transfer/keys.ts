/** Which key columns get new values in another tenant, and where the values come from. */
import type { BoundColumn, BoundTable } from '../../datamap/types.ts';
import { RestoreError } from '../../errors.ts';
import { type Client, ident, literal, qualified } from '../../sql.ts';
import { components } from '../order.ts';
import type { TargetTable } from '../target.ts';
import { type Reference, tenantColumn } from './references.ts';
import type { KeySource } from './types.ts';
import type { UniqueIndex } from './uniques.ts';

export interface Reissue {
  readonly table: string;
  readonly column: string;
  readonly how: KeySource;
  /** The new value, over a row of old values with the alias `s`. */
  readonly sql: string;
}

/** What is known of one table when its keys are decided. */
export interface KeyTable {
  readonly target: TargetTable;
  readonly references: readonly Reference[];
  readonly uniques: readonly UniqueIndex[];
}

const WHOLE = /^(smallint|integer|bigint)$/;
const TEXT = /^(text|character varying|character|public\.citext|citext)\b/;

/**
 * New values are given to columns of unique keys that have a source of values (a sequence, a default that differs each time).
 * Where a table's key would still be the old one, because nothing in it is the tenant or points at a copied row, one of its
 * columns gets a new value all the same: a random uuid, the next free number, or a prefix.
 * @throws RestoreError HF_TRANSFER_KEY
 */
export async function planKeys(
  client: Client,
  tables: readonly KeyTable[],
  textKeyPrefix: string | undefined,
): Promise<Reissue[]> {
  const result: Reissue[] = [];
  for (const table of tables) {
    const { bound } = table.target;
    const pointing = pointingColumns(table, roots(tables));
    const inUnique = new Set(table.uniques.flatMap((u) => u.columns));
    const free = bound.columns.filter(
      (c) => !c.generated && inUnique.has(c.name) && !pointing.has(c.name) && c.name !== tenantColumn(bound),
    );
    const own: Reissue[] = [];
    for (const column of free) {
      const source = await generator(client, table.target, column);
      if (source) own.push({ table: bound.name, column: column.name, ...source });
    }
    const renewed = (name: string) =>
      name === tenantColumn(bound) || pointing.has(name) || own.some((r) => r.column === name);
    if (!bound.key.some(renewed)) own.push(makeUp(table.target, free, textKeyPrefix));
    result.push(...own);
  }
  return result;
}

/**
 * Keys that are each other's foreign keys (one row here for each row there, both ways) have no first one; one is chosen to be
 * given a new value, and the others follow it.
 */
function roots(tables: readonly KeyTable[]): ReadonlySet<string> {
  const node = (table: BoundTable, column: string) => JSON.stringify([table.name, column]);
  const edges = new Map<string, string[]>();
  for (const { references } of tables) {
    for (const r of references) {
      r.columns.forEach((column, i) => {
        const from = node(r.child, column);
        edges.set(from, [...(edges.get(from) ?? []), node(r.parent, r.parentColumns[i]!)]);
      });
    }
  }
  const circles = components([...edges.keys()], (n) => (edges.get(n) ?? []).filter((to) => edges.has(to)));
  return new Set(circles.filter((c) => c.length > 1).map((c) => [...c].sort()[0]!));
}

/** Columns that follow the row they point at. */
function pointingColumns(table: KeyTable, chosen: ReadonlySet<string>): Set<string> {
  const { name } = table.target.bound;
  return new Set(table.references.flatMap((r) => r.columns).filter((c) => !chosen.has(JSON.stringify([name, c]))));
}

async function generator(
  client: Client,
  target: TargetTable,
  column: BoundColumn,
): Promise<{ how: KeySource; sql: string } | undefined> {
  const { schema, relname } = target.bound;
  const type = stageType(target, column.name);
  if (column.identity) {
    const { rows } = await client.query('select pg_get_serial_sequence($1, $2) as name', [
      qualified(schema, relname),
      column.name,
    ]);
    return { how: 'sequence', sql: `nextval(${literal(rows[0].name)}::regclass)` };
  }
  if (column.default === undefined || !(WHOLE.test(type) || TEXT.test(type) || type === 'uuid')) return undefined;
  if (/^nextval\('/.test(column.default)) return { how: 'sequence', sql: column.default };
  // A default that gives two values at once is a source of keys; 'draft' or current_date is not.
  const { rows } = await client.query(
    `select (${column.default})::text is distinct from (${column.default})::text as fresh`,
  );
  return rows[0].fresh ? { how: 'default', sql: column.default } : undefined;
}

function makeUp(target: TargetTable, free: readonly BoundColumn[], prefix: string | undefined): Reissue {
  const { bound } = target;
  const of = (match: (type: string) => boolean) =>
    bound.key.find((name) => free.some((c) => c.name === name) && match(stageType(target, name)));
  const uuid = of((type) => type === 'uuid');
  if (uuid) return { table: bound.name, column: uuid, how: 'uuid', sql: 'gen_random_uuid()' };
  const text = of((type) => TEXT.test(type));
  if (text && prefix !== undefined) {
    const sql = `${literal(prefix)} || s.${ident(text)}::text`;
    return { table: bound.name, column: text, how: 'prefix', sql };
  }
  const whole = of((type) => WHOLE.test(type));
  if (whole) {
    const last = `(select coalesce(max(t.${ident(whole)}), 0) from ${target.sql} t)`;
    return { table: bound.name, column: whole, how: 'number', sql: `${last} + row_number() over ()` };
  }
  throw new RestoreError(
    'HF_TRANSFER_KEY',
    `Rows of ${bound.name} cannot be copied: nothing says how its key (${bound.key.join(', ')}) gets new values.`,
    {
      action: text
        ? `Pass --text-key-prefix: it is put in front of ${text}. Or leave ${bound.name} out (--except).`
        : `Leave ${bound.name} out (--except), or give its key a default.`,
      details: { table: bound.name, key: bound.key },
    },
  );
}

const stageType = (target: TargetTable, name: string): string =>
  target.columns.find((c) => c.name === name)?.stageType ?? '';
