/** Finds the table that has one row per tenant, and the one that has one row per person. */
import { ConfigError } from '../errors.ts';
import type { Catalog, CatalogTable } from './catalog.ts';
import { parseTableName } from './notation.ts';
import { didYouMean } from './suggest.ts';
import type { TableName } from './types.ts';
import { squash, tableWords } from './words.ts';

export interface Anchor {
  readonly table: CatalogTable;
  readonly key: string;
}

export interface Note {
  readonly table?: TableName;
  readonly message: string;
}

/** How strongly a table's name alone says that it holds tenants, 1 to 10. */
// biome-ignore format: a table reads better than a column
const TENANT_NAMES: Readonly<Record<string, number>> = {
  tenant: 10, organization: 10, organisation: 10, org: 10, workspace: 9, company: 8, mandant: 9, account: 7, team: 6,
  business: 6, firm: 6, firma: 7, entreprise: 7, empresa: 7, organizacion: 8, agency: 6, merchant: 6, shop: 5, clinic: 6,
  practice: 5, school: 6, hospital: 6, hotel: 5, restaurant: 5, household: 5, family: 4, client: 5, customer: 4, site: 3,
  project: 2, space: 4, group: 2, realm: 6, instance: 3, community: 4, club: 5, verein: 6, kunde: 4, subscriber: 3,
};
// biome-ignore format: as above
const PERSON_NAMES: Readonly<Record<string, number>> = {
  user: 10, person: 9, member: 8, patient: 8, customer: 7, employee: 7, student: 7, subscriber: 6, resident: 6,
  participant: 6, passenger: 6, player: 6, profile: 5, contact: 5, client: 5, guest: 5, account: 4, lead: 4, child: 4,
  learner: 7, pupil: 7, donor: 6, applicant: 6, candidate: 6, staff: 5, benutzer: 10, nutzer: 10, mitglied: 8, mitarbeiter: 7,
  kunde: 7, utilisateur: 10, usuario: 10, cliente: 7, identity: 5,
};

/** Whether a table's name alone says that it holds persons. */
export const looksLikePersons = (relname: string): boolean => (PERSON_NAMES[tableWords(relname).at(-1) ?? ''] ?? 0) > 0;

const nameWeight = (table: CatalogTable, names: Readonly<Record<string, number>>): number => {
  const all = tableWords(table.relname);
  const weight = names[all.at(-1) ?? ''] ?? 0;
  // `oauth_account`, `billing_customer`: a qualified name is likelier to be a part than the whole.
  return all.length > 1 ? weight * 0.7 : weight;
};

/**
 * @throws ConfigError HF_NO_TENANT_TABLE when no table looks like one; HF_TABLE_UNKNOWN, HF_COLUMN_UNKNOWN, HF_REACH_INVALID
 *   when the one named by hand does not fit
 */
export function findTenants(
  catalog: Catalog,
  options: { tenantTable?: string; tenantKey?: string },
  notes: Note[],
): Anchor {
  if (options.tenantTable !== undefined) return named(catalog, 'tenant', options.tenantTable, options.tenantKey);
  const { candidates, others } = rank(catalog, TENANT_NAMES);
  // With no telling name, only a table that most others point to directly, with a NOT NULL column, can be meant.
  const best =
    candidates.find((c) => c.reached > 0 || c.weight >= 8) ??
    candidates[0] ??
    others
      .filter((c) => c.direct >= 2 && c.direct * 2 >= catalog.tables.length - 1)
      .sort((a, b) => b.direct - a.direct)[0];
  if (!best) {
    const names = catalog.tables.map((t) => t.name);
    throw new ConfigError(
      'HF_NO_TENANT_TABLE',
      `No table looks like the one that has a row per tenant: looked among ${names.length} tables for names such as organizations, ` +
        'tenants, workspaces, companies, accounts, teams, and for a table that most others point to by foreign key.',
      {
        action:
          names.length === 0
            ? 'The database has no tables that this role can see. Check the database name and the role.'
            : 'Name it: --tenant-table schema.table, and --tenant-key column if its key is not the primary key.',
        details: { tables: names },
      },
    );
  }
  if (best.weight === 0) {
    notes.push({
      table: best.table.name,
      message: `is taken for the tenant table only because ${best.direct} tables point to it; name another with --tenant-table`,
    });
  }
  const rivals = candidates.filter((c) => c !== best && c.reached > 0 && (c.weight >= 8 || best.score - c.score < 3));
  if (rivals.length > 0) {
    const list = rivals.map((c) => c.table.name).join(', ');
    notes.push({
      table: best.table.name,
      message: `is taken for the tenant table; ${list} could be meant too: name it with --tenant-table`,
    });
  }
  return named(catalog, 'tenant', best.table.name, options.tenantKey);
}

/** undefined when no table looks like persons; the notes then say so. Same errors as `findTenants` for one named by hand. */
export function findPersons(
  catalog: Catalog,
  options: { personTable?: string; personKey?: string },
  tenants: Anchor,
  belongsToTenant: (table: CatalogTable) => boolean,
  notes: Note[],
): Anchor | undefined {
  if (options.personTable !== undefined) return named(catalog, 'person', options.personTable, options.personKey);
  const { candidates } = rank(catalog, PERSON_NAMES);
  const scored = candidates
    .filter((c) => c.table !== tenants.table && singleKeys(c.table).length > 0)
    .map((c) => {
      const contact = c.table.columns.some((column) => /mail|phone|name|birth/i.test(column.name)) ? 3 : 0;
      return { ...c, score: c.score + contact - (belongsToTenant(c.table) ? 0 : 3) };
    })
    .sort((a, b) => b.score - a.score);
  const best = scored[0];
  if (!best) {
    notes.push({
      message: 'no table of persons was found; without one nothing is sealed per person. Name it with --person-table',
    });
    return undefined;
  }
  const rivals = scored.filter((c) => c !== best && best.score - c.score < 3);
  if (rivals.length > 0) {
    const list = rivals.map((c) => c.table.name).join(', ');
    notes.push({
      table: best.table.name,
      message: `is taken for the table of persons; ${list} could be meant too: name it with --person-table`,
    });
  }
  return named(catalog, 'person', best.table.name, options.personKey);
}

function rank(catalog: Catalog, names: Readonly<Record<string, number>>) {
  const all = catalog.tables.map((table) => {
    const weight = nameWeight(table, names);
    const direct = catalog.tables.filter(
      (t) => t !== table && t.foreignKeys.some((f) => f.parent === table.name && allRequired(t, f.columns)),
    ).length;
    const reached = weight > 0 ? reachedBy(catalog, table) : 0;
    return { table, weight, direct, reached, score: weight + (10 * reached) / Math.max(1, catalog.tables.length - 1) };
  });
  const candidates = all.filter((c) => c.weight > 0).sort((a, b) => b.score - a.score);
  return { candidates, others: all.filter((c) => c.weight === 0) };
}

/** How many tables lead to this one by foreign keys of any number of hops, or by a column named after it. */
function reachedBy(catalog: Catalog, root: CatalogTable): number {
  const found = new Set([root.name]);
  for (const table of catalog.tables)
    if (table !== root && conventionalColumn(table, root, 'id')) found.add(table.name);
  for (let grew = true; grew; ) {
    grew = false;
    for (const table of catalog.tables) {
      if (!found.has(table.name) && table.foreignKeys.some((f) => found.has(f.parent))) grew = !!found.add(table.name);
    }
  }
  return found.size - 1;
}

const allRequired = (table: CatalogTable, columns: readonly string[]): boolean =>
  columns.every((name) => table.columns.find((c) => c.name === name)?.notNull);

/** A column that is named after the other table (`organization_id`, `orgId`, `tenant`) and belongs to no other foreign key. */
export function conventionalColumn(table: CatalogTable, root: CatalogTable, key: string): string | undefined {
  const [full, last] = [tableWords(root.relname).join(''), tableWords(root.relname).at(-1)!];
  const stems = new Set([full, last, ...(/^organi[sz]ation$/.test(last) ? ['org'] : [])]);
  const accepted = new Set([...stems].flatMap((stem) => [`${stem}id`, `${stem}uuid`, `${stem}${squash(key)}`]));
  // A key with a name of its own (`companyNr`) is often repeated as it is.
  if (!/^(id|uuid|nr|no|key|code|name)$/.test(squash(key))) accepted.add(squash(key));
  const keyColumn = root.columns.find((c) => c.name === key) ?? root.columns.find((c) => root.key.includes(c.name));
  const taken = new Set(
    table.foreignKeys.filter((f) => f.parent !== root.name).flatMap((f) => (f.columns.length === 1 ? f.columns : [])),
  );
  return table.columns.find(
    (c) =>
      accepted.has(squash(c.name)) &&
      !taken.has(c.name) &&
      (!keyColumn || family(c.baseType) === family(keyColumn.baseType)),
  )?.name;
}

/** Types between which an application compares keys. */
function family(type: string): string {
  if (/^(smallint|integer|bigint|numeric)$/.test(type)) return 'number';
  if (/^(text|character varying|character|bpchar)$/.test(type)) return 'text';
  return type;
}

const singleKeys = (table: CatalogTable): string[] => table.uniqueKeys.filter((k) => k.length === 1).map((k) => k[0]!);

/** The single-column key that other tables point to most; else the table's own key. */
function keyOf(catalog: Catalog, table: CatalogTable, what: 'tenant' | 'person'): string {
  const uses = new Map<string, number>();
  for (const { foreignKeys } of catalog.tables) {
    for (const f of foreignKeys) {
      if (f.parent === table.name && f.columns.length === 1)
        uses.set(f.parentColumns[0]!, (uses.get(f.parentColumns[0]!) ?? 0) + 1);
    }
  }
  const own = table.key.length === 1 ? table.key[0]! : singleKeys(table)[0];
  const used = [...uses].sort((a, b) => b[1] - a[1] || Number(b[0] === own) - Number(a[0] === own))[0]?.[0];
  const key = used ?? own;
  if (key !== undefined) return key;
  throw new ConfigError('HF_REACH_INVALID', `The ${what} table ${table.name} has no key of one column.`, {
    action: `Add one, e.g. alter table ${table.name} add primary key (…), or name another table with --${what}-table.`,
    details: { table: table.name },
  });
}

function named(catalog: Catalog, what: 'tenant' | 'person', text: string, key: string | undefined): Anchor {
  const names = catalog.tables.map((t) => t.name);
  const table = catalog.tables.find((t) => t.name === parseTableName(text));
  if (!table) {
    throw new ConfigError('HF_TABLE_UNKNOWN', `The ${what} table ${text} is not in the database.`, {
      action: `Correct --${what}-table.${didYouMean(text, names)}`,
      details: { table: text },
    });
  }
  if (key === undefined) return { table, key: keyOf(catalog, table, what) };
  if (!table.columns.some((c) => c.name === key)) {
    const columns = table.columns.map((c) => c.name);
    throw new ConfigError('HF_COLUMN_UNKNOWN', `The table ${table.name} has no column ${JSON.stringify(key)}.`, {
      action: `Correct --${what}-key.${didYouMean(key, columns)} Columns there are: ${columns.join(', ')}.`,
      details: { table: table.name, column: key },
    });
  }
  if (!singleKeys(table).includes(key)) {
    throw new ConfigError('HF_REACH_INVALID', `${table.name}(${key}) is not unique, so it cannot name one ${what}.`, {
      action: `Choose a column with a unique index of its own${singleKeys(table).length > 0 ? `: ${singleKeys(table).join(', ')}` : ''}.`,
      details: { table: table.name, column: key },
    });
  }
  return { table, key };
}
