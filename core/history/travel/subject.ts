/** What is asked about: a protected table, a record of it, a tenant. */
import { didYouMean } from '../../datamap/suggest.ts';
import { ConfigError, RestoreError } from '../../errors.ts';
import { type Client, joinTableName, splitTableName } from '../../sql.ts';
import { recordText } from '../record.ts';
import { ask, askOne } from './stream.ts';

export interface Subject {
  readonly id: number;
  readonly name: string;
  /** Text of the oid; null: the table was dropped, and only its history is left. */
  readonly oid: string | null;
  /** Key columns in order; empty for a table without one. */
  readonly key: readonly string[];
  /** Whether its rows belong to tenants. */
  readonly owned: boolean;
}

/** Tables that are there, and what is left of those that were dropped. */
export async function subjects(client: Client): Promise<Subject[]> {
  const { rows } = await ask(
    client,
    `select t.id, t.name, t.oid::text, t.rule ? 'tenant', coalesce((
              select json_agg(a.attname order by k.n) from jsonb_array_elements_text(t.rule -> 'key') with ordinality k(attnum, n)
                join pg_attribute a on a.attrelid = t.oid and a.attnum = k.attnum::int), '[]')
       from holdfast.tables t order by t.dropped_at nulls first, t.name collate "C"`,
  );
  return rows.map(([id, name, oid, owned, key]) => ({
    id: Number(id),
    name: name!,
    oid: oid!,
    owned: owned === 't',
    key: JSON.parse(key!) as string[],
  }));
}

/**
 * `schema.table`, or a table of the schema public.
 * @throws ConfigError HF_TABLE_UNKNOWN, HF_NOT_PROTECTED
 */
export async function findSubject(client: Client, name: string): Promise<Subject> {
  const all = await subjects(client);
  const { schema, relname } = splitTableName(name);
  const found = all.find((s) => s.name === name || s.name === joinTableName(schema, relname));
  if (found) return found;
  const there = await askOne(client, 'select to_regclass($1)::text', [joinTableName(schema, relname)]);
  if (there !== null) {
    throw new ConfigError('HF_NOT_PROTECTED', `${name} is not a protected table, so it has no history.`, {
      action: 'Add it to holdfast.yaml and run holdfast install; of a partitioned table, name the whole.',
      details: { table: name },
    });
  }
  const names = all.map((s) => s.name);
  throw new ConfigError('HF_TABLE_UNKNOWN', `There is no protected table ${name}.`, {
    action: `Correct the name.${didYouMean(name, names)}`,
    details: { table: name, tables: names },
  });
}

/** The oid of a table whose rows can be shown. @throws RestoreError HF_TABLE_GONE */
export function oidOf(subject: Subject): string {
  if (subject.oid !== null) return subject.oid;
  throw new RestoreError('HF_TABLE_GONE', `${subject.name} was dropped; its rows have no type to be shown in.`, {
    action: 'Its changes are still there: see holdfast history and holdfast activity.',
    details: { table: subject.name },
  });
}

/**
 * The record id of a key, one text per column, in the order of the key or each as `column=value`.
 * @throws ConfigError HF_KEY_INVALID; RestoreError HF_NO_KEY
 */
export async function recordOf(client: Client, subject: Subject, key: readonly string[]): Promise<string> {
  if (subject.oid === null) return recordText(key);
  const record = await askOne(
    client,
    'select holdfast.record_of(t, $2::text[]) from holdfast.tables t where t.id = $1',
    [subject.id, inOrder(subject, key)],
  );
  return record!;
}

/** Key values in the order of the key; each may be written as `column=value` if all are. */
export function inOrder(subject: Pick<Subject, 'key'>, parts: readonly string[]): readonly string[] {
  const named = subject.key.map((column) => parts.find((part) => part.startsWith(`${column}=`)));
  if (named.some((part) => part === undefined) || parts.length !== subject.key.length) return parts;
  return named.map((part, i) => part!.slice(subject.key[i]!.length + 1));
}

/** @throws RestoreError HF_TENANT_UNKNOWN for one that neither the tables nor the trail know */
export async function requireTenant(client: Client, tenant: string | undefined): Promise<void> {
  if (tenant === undefined || (await askOne(client, 'select holdfast.knows_tenant($1)', [tenant])) === 't') return;
  throw new RestoreError(
    'HF_TENANT_UNKNOWN',
    `No row belongs to a tenant ${JSON.stringify(tenant)}, now or in history.`,
    {
      action: 'Give the value that stands in the tenant column of its rows.',
      details: { tenant },
    },
  );
}
