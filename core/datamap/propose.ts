/** Proposes a data map from a catalog, for a person to review. */
import { type Anchor, findPersons, findTenants, type Note } from './anchors.ts';
import type { Catalog, CatalogTable } from './catalog.ts';
import { classify, type Surroundings } from './classify.ts';
import { isProtected } from './parse.ts';
import { type Found, findPaths } from './paths.ts';
import type { ColumnRule, DataMap, TableName, TableRule } from './types.ts';
import { squash } from './words.ts';

export interface ProposeOptions {
  /** `schema.table` of tenants (or persons), where the names do not tell. */
  readonly tenantTable?: string;
  readonly tenantKey?: string;
  readonly personTable?: string;
  readonly personKey?: string;
}

export interface Proposal {
  readonly map: DataMap;
  /** What was guessed and what deserves a second look, one sentence each: `public.tags reaches no tenant, …`. */
  readonly notes: readonly string[];
}

/** Bookkeeping of migration tools: restoring it would tell the tool that migrations had not run. */
const BOOKKEEPING =
  /^(schema|knex|prisma|django|flyway|alembic|drizzle|typeorm|sequelize|goose|doctrine|phinx|atlas|gorp|ar|ef|umzug|kysely|mikro|pg)?(db)?(schema)?(migrations?|migrationslock|migrationlock|migrationversions?|version|schemahistory|schemarevisions|internalmetadata|meta|dbversion|migrationshistory)$|^databasechangelog(lock)?$|^playevolutions$/;

/**
 * @throws ConfigError HF_NO_TENANT_TABLE, HF_TABLE_UNKNOWN, HF_COLUMN_UNKNOWN, HF_REACH_INVALID
 */
export function propose(catalog: Catalog, options: ProposeOptions = {}): Proposal {
  const notes: Note[] = [];
  const excluded = catalog.tables.filter((t) => BOOKKEEPING.test(squash(t.relname)));
  const seen: Catalog = { ...catalog, tables: catalog.tables.filter((t) => !excluded.includes(t)) };
  for (const { name } of excluded) notes.push({ table: name, message: 'is bookkeeping of a migration tool; left out' });
  for (const { name, reason } of catalog.unsupported)
    notes.push({ table: name, message: `is not protected: ${reason}` });

  const tenants = findTenants(seen, options, notes);
  const tenantPaths = findPaths(seen, { what: 'tenant', anchor: tenants, closed: new Set(), notes });
  const persons = findPersons(seen, options, tenants, (t) => tenantPaths.has(t.name), notes);
  // A tenant has an owner or a contact, but what a tenant has is not that person's.
  const closed = new Set([tenants.table.name]);
  const personPaths = persons ? findPaths(seen, { what: 'person', anchor: persons, closed, notes }) : new Map();

  const tables = order(seen, tenants, persons, tenantPaths).map((table): TableRule => {
    const tenant = tenantPaths.get(table.name);
    const person = personPaths.get(table.name);
    noteTable(table, tenant, notes);
    return {
      name: table.name,
      ...(tenant ? { tenant: tenant.reach } : {}),
      ...(person ? { person: person.reach } : {}),
      columns: columnRules(table, { tenant, person, tenants, persons }, notes),
      erase: erasure(seen, table, person, persons, personPaths, notes),
    };
  });
  const map: DataMap = {
    tenants: { table: tenants.table.name, key: tenants.key },
    ...(persons ? { persons: { table: persons.table.name, key: persons.key } } : {}),
    tables,
    excluded: excluded.map((t) => t.name),
  };
  return { map, notes: notes.map((n) => (n.table === undefined ? n.message : `${n.table} ${n.message}`)) };
}

/** The tenant table and the persons first, then what belongs to a tenant, then what is shared. */
function order(
  catalog: Catalog,
  tenants: Anchor,
  persons: Anchor | undefined,
  paths: ReadonlyMap<TableName, Found>,
): CatalogTable[] {
  const rank = (t: CatalogTable) => (t === tenants.table ? 0 : t === persons?.table ? 1 : paths.has(t.name) ? 2 : 3);
  return [...catalog.tables].sort((a, b) => rank(a) - rank(b));
}

function noteTable(table: CatalogTable, tenant: Found | undefined, notes: Note[]): void {
  const note = (message: string) => notes.push({ table: table.name, message });
  if (!tenant) note('reaches no tenant, so it is taken as shared');
  if (table.key.length === 0) note('has no key; changes are captured, but single records cannot be restored');
  if (table.unlogged) note('is unlogged: PostgreSQL empties it after a crash');
  if (table.inherits) note(`inherits from ${table.inherits}; reading the parent returns its rows too`);
}

function columnRules(
  table: CatalogTable,
  owners: { tenant: Found | undefined; person: Found | undefined; tenants: Anchor; persons: Anchor | undefined },
  notes: Note[],
): Record<string, ColumnRule> {
  const { tenant, person, tenants, persons } = owners;
  const locating = new Set([
    ...table.key,
    ...table.foreignKeys.flatMap((f) => f.columns),
    ...[tenant, person].flatMap((f) => (!f ? [] : f.reach.kind === 'column' ? [f.reach.column] : f.reach.columns)),
  ]);
  const around: Surroundings['table'] =
    table === tenants.table
      ? 'tenants'
      : table === persons?.table
        ? 'persons'
        : person
          ? 'owned'
          : tenant
            ? 'tenant'
            : 'shared';
  const rules = table.columns.map((column): [string, ColumnRule] => {
    const locates = locating.has(column.name);
    const proposed = classify(column, { table: around, locates });
    if (locates && table.key.includes(column.name)) {
      const otherwise = classify(column, { table: around, locates: false });
      if (isProtected(otherwise) && /mail|phone|name|ssn|iban/i.test(column.name)) {
        notes.push({
          table: table.name,
          message: `the key ${column.name} is ${otherwise} by its name, but a key cannot be sealed; a key without meaning would be safer`,
        });
      }
    }
    const stamped = !locates && isStamp(column) ? { stamped: true as const } : {};
    return [column.name, { class: proposed, sealed: isProtected(proposed), ...stamped }];
  });
  return Object.fromEntries(rules);
}

/** What frameworks set on every write: Rails, Django, Laravel, Hibernate, TypeORM, and people by hand. */
const STAMP_TIMES =
  /^(updated|modified|changed|touched|edited|lastupdated|lastmodified|lastchanged|dateupdated|datemodified)(at|on|date|time|timestamp)?$/;
const STAMP_COUNTERS = /^(lock|row|record|object|opt|optimistic)(lock)?version$|^(versionlock|optlock|rowrevision)$/;

function isStamp({ name, baseType }: CatalogTable['columns'][number]): boolean {
  const plain = squash(name);
  if (/^(timestamp|date)/.test(baseType)) return STAMP_TIMES.test(plain);
  return /^(smallint|integer|bigint)$/.test(baseType) && STAMP_COUNTERS.test(plain);
}

/** Deleting is the rule; a row that others need, or that only names the person, stays and is cleared. */
function erasure(
  catalog: Catalog,
  table: CatalogTable,
  person: Found | undefined,
  persons: Anchor | undefined,
  personPaths: ReadonlyMap<TableName, Found>,
  notes: Note[],
): TableRule['erase'] {
  if (!person) return 'delete';
  if (!person.owns) return 'anonymise';
  if (table !== persons?.table) return 'delete';
  const holders = catalog.tables.filter(
    (t) =>
      t !== table &&
      !personPaths.get(t.name)?.owns &&
      t.foreignKeys.some((f) => f.parent === table.name && /no action|restrict/.test(f.onDelete)),
  );
  if (holders.length === 0) return 'delete';
  const list = holders.map((t) => t.name).join(', ');
  notes.push({
    table: table.name,
    message: `is anonymised on erasure, not deleted, because ${list} must keep pointing to it`,
  });
  return 'anonymise';
}
