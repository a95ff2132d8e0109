/** What must hold before a backup begins. Quick: catalog look-ups and one write to the store. */
import type pg from 'pg';
import { introspect } from '../datamap/introspect.ts';
import { didYouMean } from '../datamap/suggest.ts';
import { tenantExists, unknownTenant } from '../datamap/tenants.ts';
import type { BoundMap, TableName } from '../datamap/types.ts';
import { ConfigError, DatabaseError } from '../errors.ts';
import { SHARED } from './types.ts';

/** @throws DatabaseError HF_NOT_INSTALLED, HF_NOT_PROTECTED, HF_ROWS_HIDDEN; ConfigError HF_TENANT_UNKNOWN, HF_TENANT_RESERVED */
export async function checkDatabase(client: pg.Client, bound: BoundMap, tenant: string | null): Promise<void> {
  const { rows } = await client.query<{ installed: boolean }>(
    "select to_regclass('holdfast.tenant_backups') is not null as installed",
  );
  if (!rows[0]!.installed) {
    throw new DatabaseError('HF_NOT_INSTALLED', 'Holdfast is not installed in this database.', {
      action: 'Run "holdfast install" first: without the trail a backup cannot be made consistent.',
    });
  }
  const bare = bound.tables.filter((t) => t.id === 0);
  const disabled = await client.query<{ oid: string }>(
    `select t.oid::int8::text as oid from unnest($1::oid[]) as t (oid)
      where coalesce((select bool_or(g.tgenabled <> 'A') from pg_trigger g join pg_proc p on p.oid = g.tgfoid
                        join pg_namespace n on n.oid = p.pronamespace
                       where g.tgrelid = t.oid and n.nspname = 'holdfast'), true)`,
    [bound.tables.map((t) => t.oid)],
  );
  const off = disabled.rows.map((row) => bound.tables.find((t) => t.oid === Number(row.oid))!);
  const open = [...new Set([...bare, ...off])].map((t) => t.name);
  if (open.length > 0) {
    throw new DatabaseError('HF_NOT_PROTECTED', `Changes are not being captured for: ${open.join(', ')}.`, {
      action: 'Run "holdfast install" again, or "holdfast doctor" to see why.',
      details: { tables: open },
    });
  }
  await checkVisible(client, bound);
  if (tenant !== null) await checkTenant(client, bound, tenant);
}

/**
 * Rows that a policy hides would be missing without a word. The setting row_security = off would refuse them too, but also
 * refuses a policy that shows everything, which an owner without BYPASSRLS needs, for Holdfast's own tables first of all.
 */
async function checkVisible(client: pg.Client, bound: BoundMap): Promise<void> {
  const { tables } = await introspect(client);
  const hidden = tables.filter((t) => t.rowsHidden && bound.tables.some((b) => b.oid === t.oid)).map((t) => t.name);
  if (hidden.length === 0) return;
  throw new DatabaseError('HF_ROWS_HIDDEN', `Row-level security may hide rows from this role: ${hidden.join(', ')}.`, {
    action: 'Give the role BYPASSRLS, or a policy that shows it every row; "holdfast doctor" prints the statement.',
    details: { tables: hidden },
  });
}

async function checkTenant(client: pg.Client, bound: BoundMap, tenant: string): Promise<void> {
  if (tenant === SHARED) throw reservedTenant();
  if (!(await tenantExists(client, bound, tenant))) throw await unknownTenant(client, bound, tenant, ConfigError);
}

/** A tenant of that name would share its slabs, and so its key, with the rows that belong to nobody. */
export const reservedTenant = () =>
  new ConfigError('HF_TENANT_RESERVED', `"${SHARED}" stands for rows without a tenant in every backup.`, {
    action: 'Give that tenant another name; rows without a tenant are in backups of the whole database.',
  });

/** Which tables a backup holds. @throws ConfigError HF_TABLE_UNKNOWN */
export function selectTables(
  bound: BoundMap,
  selection: { readonly tables?: readonly TableName[]; readonly exclude?: readonly TableName[] },
): { tables: TableName[]; excluded: TableName[] } {
  const all = bound.tables.map((t) => t.name);
  const named = (names: readonly TableName[]) =>
    names.map((name) => {
      const full = all.includes(name) ? name : all.find((other) => other === `public.${name}`);
      if (full) return full;
      throw new ConfigError('HF_TABLE_UNKNOWN', `${name} is not a protected table.`, {
        action: `Name a table of holdfast.yaml.${didYouMean(name, all)}`,
        details: { table: name },
      });
    });
  const wanted = selection.tables ? named(selection.tables) : all;
  const unwanted = named(selection.exclude ?? []);
  const tables = all.filter((name) => wanted.includes(name) && !unwanted.includes(name));
  return { tables, excluded: all.filter((name) => !tables.includes(name)) };
}
