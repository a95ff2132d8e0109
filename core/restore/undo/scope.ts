/** What a scope means: which changes of the trail are undone, and which must be read to know what came after them. */

import { didYouMean } from '../../datamap/suggest.ts';
import type { BoundMap, BoundTable } from '../../datamap/types.ts';
import { ConfigError, RestoreError } from '../../errors.ts';
import { resolveCut } from '../../history/cuts.ts';
import { recordText } from '../../history/record.ts';
import { findRestorePoint } from '../../history/restorePoints.ts';
import { asRefusal } from '../../history/travel/errors.ts';
import { inOrder } from '../../history/travel/subject.ts';
import type { Cut } from '../../history/types.ts';
import { inCutSql, sinceSql } from '../../history/visibleSql.ts';
import { parseMoment } from '../../moment.ts';
import { type Client, joinTableName, splitTableName } from '../../sql.ts';
import type { To, UndoScope } from './types.ts';

export interface Selection {
  /** Condition over a change `c`: it is to be undone. */
  readonly undone: string;
  /** Conditions by which the undone changes are found. */
  readonly where: readonly string[];
  /** Whether later changes by others must be read too; where a scope takes back everything since a moment, there are none. */
  readonly others: boolean;
  /** Only these fields. */
  readonly columns?: ReadonlySet<string>;
  readonly cut: Cut | null;
  /** Of a scope that names its records, in its order. */
  readonly named?: { readonly table: BoundTable; readonly records: readonly string[] };
}

/**
 * Resolves names and moments. Runs outside of a REPEATABLE READ transaction, because a moment that has just passed needs a
 * horizon of its own.
 * @throws ConfigError HF_TABLE_UNKNOWN, HF_COLUMN_UNKNOWN, HF_KEY_INVALID, HF_TRANSACTION_INVALID;
 * RestoreError HF_SESSION_UNKNOWN, HF_TABLE_SHARED, HF_NO_KEY, HF_TIME_…, HF_RESTORE_POINT_UNKNOWN
 */
export async function select(client: Client, bound: BoundMap, tenant: string, scope: UndoScope): Promise<Selection> {
  const quote = (value: string) => client.escapeLiteral(value);
  switch (scope.kind) {
    case 'session': {
      const found = await sessionCondition(client, tenant, scope.session);
      return {
        undone: found.undone,
        where: [...found.where, ...inTables(bound, scope.tables)],
        others: true,
        cut: null,
      };
    }
    case 'user': {
      const cut = await toCut(client, tenant, scope.since);
      const undone = `(c.user_id = ${quote(scope.user)} and ${unseen(cut)})`;
      return {
        undone,
        where: [`c.user_id = ${quote(scope.user)}`, ...after(cut), ...inTables(bound, scope.tables)],
        others: true,
        cut,
      };
    }
    case 'transactions': {
      const undone = `c.xid = any ('{${scope.transactions.map(transactionId).join(',')}}'::bigint[])`;
      return { undone, where: [undone, ...inTables(bound, scope.tables)], others: true, cut: null };
    }
    case 'records': {
      const table = tableOf(bound, scope.table);
      const columns = scope.columns?.map((name) => columnOf(table, name));
      const records = await recordsOf(client, table, scope.records);
      const cut = await toCut(client, tenant, scope.to);
      const names = records.map(quote).join(', ');
      return {
        undone: 'true',
        where: [`c.table_id = ${table.id}`, `c.record in (${names})`, unseen(cut)],
        others: false,
        cut,
        named: { table, records },
        ...(columns ? { columns: new Set(columns) } : {}),
      };
    }
    case 'table': {
      const table = tableOf(bound, scope.table);
      const cut = await toCut(client, tenant, scope.to);
      return {
        undone: 'true',
        where: [`c.table_id = ${table.id}`, ...after(cut)],
        others: false,
        cut,
      };
    }
    case 'tenant': {
      const cut = await toCut(client, tenant, scope.to);
      return { undone: 'true', where: after(cut), others: false, cut };
    }
  }
}

async function toCut(client: Client, tenant: string, to: To): Promise<Cut> {
  if ('point' in to) return (await findRestorePoint(client, to.point, tenant)).cut;
  return resolveCut(client, parseMoment(to.time));
}

/**
 * Condition over a change `c`: it was committed after the cut. Without a bound on xid: for a moment ago its index looks best to the
 * planner, and reads what everyone has written since.
 */
const unseen = (cut: Cut): string => `not ${inCutSql('c.xid', cut)}`;

/** The same, with a bound that lets an index on time be used. */
const after = (cut: Cut): string[] => [unseen(cut), `c.at >= ${sinceSql(cut.snapshot)}`];

/**
 * A session may have several contexts (it logged in half-way, its address changed). Its changes are found through the index
 * on its user and time; a context's first use bounds the time. The hour is for a clock that was set back.
 */
async function sessionCondition(
  client: Client,
  tenant: string,
  session: string,
): Promise<{ undone: string; where: string[] }> {
  const { rows } = await client.query(
    `select array_agg(distinct id::text) as ids, array_agg(distinct user_id) filter (where user_id is not null) as users,
            bool_or(user_id is null) as nameless,
            case when bool_and(first_at is not null) then (min(first_at) - interval '1 hour')::text end as since
       from holdfast.actors where session_id = $1`,
    [session],
  );
  const { ids, users, nameless, since: first } = rows[0];
  if (!ids) {
    throw new RestoreError('HF_SESSION_UNKNOWN', `No session ${JSON.stringify(session)} has changed anything.`, {
      action: 'Look it up with "holdfast activity"; the id is the one that the application gave to set_actor.',
      details: { session, tenant },
    });
  }
  const undone = `c.actor = any ('{${(ids as string[]).join(',')}}'::uuid[])`;
  const where = [undone];
  if (!nameless) where.push(`c.user_id in (${(users as string[]).map((u) => client.escapeLiteral(u)).join(', ')})`);
  if (first) where.push(`c.at >= ${client.escapeLiteral(first)}::timestamptz`);
  return { undone, where };
}

function transactionId(id: bigint | string): string {
  if (/^\d{1,19}$/.test(String(id))) return String(id);
  throw new ConfigError('HF_TRANSACTION_INVALID', `${JSON.stringify(String(id))} is not the id of a transaction.`, {
    action: 'Pass the xid that a restore reported, a whole number.',
    details: { got: String(id) },
  });
}

const inTables = (bound: BoundMap, names: readonly string[] | undefined): string[] =>
  names ? [`c.table_id = any ('{${names.map((name) => tableOf(bound, name).id).join(',')}}'::int[])`] : [];

/** The protected table of that name, with or without its schema. */
export function tableOf(bound: BoundMap, name: string): BoundTable {
  const { schema, relname } = splitTableName(name);
  const full = joinTableName(schema, relname);
  const table = bound.tables.find((t) => t.name === name || t.name === full);
  if (!table) {
    const names = bound.tables.map((t) => t.name);
    throw new ConfigError('HF_TABLE_UNKNOWN', `There is no protected table ${name}.`, {
      action: `Name one of the tables of holdfast.yaml.${didYouMean(name, names)}`,
      details: { table: name },
    });
  }
  if (!table.tenant) {
    throw new RestoreError('HF_TABLE_SHARED', `${table.name} is shared: its rows belong to no tenant.`, {
      action: 'What is undone for one tenant must not change what the others see. Leave the table out.',
      details: { table: table.name },
    });
  }
  if (table.key.length === 0) {
    throw new RestoreError('HF_NO_KEY', `Table ${table.name} has no key, so its rows cannot be told apart.`, {
      action: 'Give the table a primary key; what is changed from then on can be undone.',
      details: { table: table.name },
    });
  }
  return table;
}

function columnOf(table: BoundTable, name: string): string {
  const column = table.columns.find((c) => c.name === name);
  if (column && !column.generated && !table.key.includes(name)) return name;
  const names = table.columns.filter((c) => !c.generated && !table.key.includes(c.name)).map((c) => c.name);
  const why = column
    ? `Column ${name} of ${table.name} cannot be undone alone: it is generated, or part of the key.`
    : `${table.name} has no column ${JSON.stringify(name)}.`;
  throw new ConfigError('HF_COLUMN_UNKNOWN', why, {
    action: `Name one of: ${names.join(', ')}.${didYouMean(name, names)}`,
    details: { table: table.name, column: name },
  });
}

/** Texts that are already as their type writes them; other keys are put through it. */
const CANONICAL: Readonly<Record<string, RegExp>> = {
  smallint: /^(0|-?[1-9]\d{0,3})$/,
  integer: /^(0|-?[1-9]\d{0,8})$/,
  bigint: /^(0|-?[1-9]\d{0,17})$/,
  uuid: /^[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}$/,
  text: /^/,
};

async function recordsOf(client: Client, table: BoundTable, keys: readonly (readonly string[])[]): Promise<string[]> {
  const patterns = table.key.map((name) => CANONICAL[table.columns.find((c) => c.name === name)!.type]);
  const asIs = (key: readonly string[]) =>
    key.length === patterns.length && key.every((value, i) => patterns[i]?.test(value));
  const records: string[] = [];
  for (const parts of keys) {
    const key = inOrder(table, parts);
    records.push(asIs(key) ? recordText(key) : await canonical(client, table, key));
  }
  return [...new Set(records)];
}

async function canonical(client: Client, table: BoundTable, key: readonly string[]): Promise<string> {
  try {
    const { rows } = await client.query(
      'select holdfast.record_of(t, $2::text[]) as record from holdfast.tables t where t.id = $1',
      [table.id, key],
    );
    return rows[0].record as string;
  } catch (error) {
    throw asRefusal(error);
  }
}
