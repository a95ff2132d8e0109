/** The data map against the catalog: what it does not know, does not class, or cannot reach. */
import { ident, tableSql } from '../sql.ts';
import type { Installed } from './bind.ts';
import type { Catalog, CatalogTable } from './catalog.ts';
import { classify } from './classify.ts';
import type { Finding } from './finding.ts';
import { formatTable, nameList } from './format.ts';
import { formatReach } from './notation.ts';
import { CLASSES, isProtected } from './parse.ts';
import { spellsDifferently } from './paths.ts';
import { propose } from './propose.ts';
import type { BoundMap, BoundTable, DataMap, Reach, TableName } from './types.ts';

/** Both a map's findings and a table's order are that of the map, then of the catalog. */
export function checkMap(catalog: Catalog, map: DataMap, bound: BoundMap, known: Installed): Finding[] {
  const byName = new Map(catalog.tables.map((t) => [t.name, t]));
  return [
    ...unmapped(catalog, map),
    ...bound.tables.flatMap((table) => checkTable(table, byName.get(table.name)!, bound, known)),
    ...droppedTables(map, byName, known),
    ...catalog.unsupported
      .filter((t) => !map.excluded.includes(t.name))
      .map(
        ({ name, reason }): Finding => ({
          code: 'HF_TABLE_UNSUPPORTED',
          severity: 'warning',
          table: name,
          message: `${name} is not protected: ${reason}.`,
          mend: `If that is meant, write into holdfast.yaml:\nexclude:\n  - ${name}`,
        }),
      ),
  ];
}

function unmapped(catalog: Catalog, map: DataMap): Finding[] {
  const known = new Set([...map.tables.map((t) => t.name), ...map.excluded]);
  const strangers = catalog.tables.filter((t) => !known.has(t.name));
  if (strangers.length === 0) return [];
  const rules = proposedRules(catalog, map);
  return strangers.map(({ name }): Finding => {
    const rule = rules.get(name);
    return {
      code: 'HF_TABLE_UNMAPPED',
      severity: 'error',
      table: name,
      message: `${name} is in the database but not in the data map, so it has no history and is in no backup.`,
      mend: [
        'Write into holdfast.yaml, under tables (a proposal, look it over):',
        ...(rule ? rule : [`  ${name}: …`]),
        `or, to leave it out on purpose:\nexclude:\n  - ${name}`,
      ].join('\n'),
    };
  });
}

/** What `init` would write for tables that are new, given the anchors that the person has confirmed. */
function proposedRules(catalog: Catalog, map: DataMap): Map<TableName, string[]> {
  const anchor = (at: DataMap['persons']) =>
    at &&
    catalog.tables.some((t) => t.name === at.table && t.uniqueKeys.some((k) => k.length === 1 && k[0] === at.key));
  if (!anchor(map.tenants)) return new Map();
  const persons = anchor(map.persons) ? { personTable: map.persons!.table, personKey: map.persons!.key } : {};
  const options = { tenantTable: map.tenants.table, tenantKey: map.tenants.key, ...persons };
  return new Map(propose(catalog, options).map.tables.map((rule) => [rule.name, formatTable(rule)]));
}

function checkTable(table: BoundTable, live: CatalogTable, bound: BoundMap, known: Installed): Finding[] {
  const { name } = table;
  const sql = tableSql(name);
  const findings: Finding[] = [];
  const add = (code: string, severity: Finding['severity'], message: string, mend: string, column?: string) =>
    findings.push({ code, severity, table: name, ...(column === undefined ? {} : { column }), message, mend });

  if (!live.owned) {
    add(
      'HF_TABLE_NOT_OWNED',
      'error',
      `This role does not own ${name}, so it cannot put triggers on it.`,
      `Run holdfast as the owner, or:\nalter table ${sql} owner to current_user;`,
    );
  } else if (!live.readable) {
    add('HF_TABLE_DENIED', 'error', `This role may not read ${name}.`, `grant select on ${sql} to current_user;`);
  }
  if (live.rowsHidden) {
    add(
      'HF_ROWS_HIDDEN',
      'error',
      `Row-level security may hide rows of ${name} from this role: a backup would lack them, and nobody would notice.`,
      `create policy holdfast on ${sql} to current_user using (true) with check (true);   -- or give the role BYPASSRLS`,
    );
  }
  unclassed(table, live, bound, add);
  droppedColumns(table, bound, known, add);
  if (table.key.length === 0) {
    add(
      'HF_TABLE_KEYLESS',
      'warning',
      `${name} has no primary key and no NOT NULL unique index (a deferrable one does not count); its rows cannot be told apart.`,
      `alter table ${sql} add column id bigint generated always as identity primary key;`,
    );
  }
  for (const column of table.columns.filter((c) => table.key.includes(c.name) && isProtected(c.rule.class))) {
    const severity = column.rule.sealed ? 'error' : 'warning';
    add(
      'HF_KEY_PERSONAL',
      severity,
      `${name}.${column.name} is classed ${column.rule.class} but is part of the key; rows are found by it, so it cannot be sealed, and its value stands in the clear in trail.record.`,
      `Class it internal in holdfast.yaml, under ${name}; better, give the table a key without meaning.`,
      column.name,
    );
  }
  unowned(table, bound, add);
  for (const what of ['tenant', 'person'] as const) {
    checkReach(table, live, what, add);
    checkSpelling(table, live, what, bound, add);
  }
  if (live.unlogged) {
    add(
      'HF_TABLE_UNLOGGED',
      'warning',
      `${name} is unlogged: PostgreSQL empties it after a crash, and no trigger sees that.`,
      `alter table ${sql} set logged;`,
    );
  }
  if (live.inherits && bound.tables.some((t) => t.name === live.inherits)) {
    add(
      'HF_TABLE_INHERITS',
      'error',
      `${name} inherits from ${live.inherits}; reading the parent returns its rows a second time.`,
      `Turn ${live.inherits} into a partitioned table, or end the inheritance:\nalter table ${sql} no inherit ${tableSql(live.inherits)};`,
    );
  }
  for (const trigger of live.triggers.filter((t) => t.onRows && t.constraint && t.enabled !== 'D')) {
    add(
      'HF_TRIGGER_RUNS_ON_RESTORE',
      'warning',
      `The constraint trigger ${trigger.name} on ${name} runs during restores too (other triggers rest); if it writes, the restore writes more than was previewed.`,
      `If it writes, let ${trigger.function} return at once when current_setting('holdfast.guard_tenant', true) <> ''.`,
    );
  }
  return findings;
}

type Add = (code: string, severity: Finding['severity'], message: string, mend: string, column?: string) => void;

function unclassed(table: BoundTable, live: CatalogTable, bound: BoundMap, add: Add): void {
  const rule = bound.map.tables.find((t) => t.name === table.name)!;
  const missing = live.columns.filter((c) => !Object.hasOwn(rule.columns, c.name));
  const { tenants, persons } = bound.map;
  const around =
    table.name === tenants.table
      ? 'tenants'
      : table.name === persons?.table
        ? 'persons'
        : table.person
          ? 'owned'
          : table.tenant
            ? 'tenant'
            : 'shared';
  const locating = new Set([
    ...table.key,
    ...table.foreignKeys.flatMap((f) => f.columns),
    ...reachColumns(table.tenant),
    ...reachColumns(table.person),
  ]);
  for (const column of missing) {
    const proposed = classify(column, { table: around, locates: locating.has(column.name) });
    const treated = table.columns.find((c) => c.name === column.name)!.rule.class;
    add(
      'HF_COLUMN_UNCLASSED',
      'error',
      `${table.name}.${column.name} (${column.type}) has no class; until it has one it is treated as ${treated}.`,
      [
        `Write into holdfast.yaml, under ${table.name}, columns (one of ${CLASSES.join(', ')}); proposed:`,
        ...nameList(`  ${proposed}: `, [column.name]),
      ].join('\n'),
      column.name,
    );
  }
}

/** A name that never was a column is a mistake in the map and refused; these were, and history still has them. */
function droppedColumns(table: BoundTable, bound: BoundMap, known: Installed, add: Add): void {
  const rule = bound.map.tables.find((t) => t.name === table.name)!;
  const gone = Object.keys(rule.columns).filter((name) => !table.columns.some((c) => c.name === name));
  for (const name of gone.filter((each) => known.pastColumns.get(table.id)?.has(each))) {
    add(
      'HF_COLUMN_GONE',
      'warning',
      `${table.name}.${name} was dropped or renamed since install; the data map still lists it.`,
      `Remove ${name} from ${table.name} in holdfast.yaml.`,
      name,
    );
  }
}

function droppedTables(map: DataMap, live: ReadonlyMap<TableName, CatalogTable>, known: Installed): Finding[] {
  return map.tables
    .filter(({ name }) => !live.has(name) && known.dropped.has(name))
    .map(({ name }) => ({
      code: 'HF_TABLE_GONE',
      severity: 'warning',
      table: name,
      message: `${name} was dropped since install; the data map still lists it. Its history is kept.`,
      mend: `Remove ${name} from holdfast.yaml.`,
    }));
}

/** Without a person there is no key to seal under, and no erasure that finds the row. */
function unowned(table: BoundTable, bound: BoundMap, add: Add): void {
  if (table.person || !bound.map.persons) return;
  const names = table.columns.filter((c) => isProtected(c.rule.class) && c.rule.sealed).map((c) => c.name);
  if (names.length === 0) return;
  add(
    'HF_PERSONAL_UNOWNED',
    'warning',
    `${table.name} holds personal data (${names.join(', ')}) but says of no person that it is theirs: it is not sealed, and no erasure finds it.`,
    `Write into holdfast.yaml, under ${table.name}, "person: …"; or class the columns internal if they are about no one; or, if that is meant:\n${nameList('    unsealed: ', names).join('\n')}`,
  );
}

const reachColumns = (reach: Reach | undefined): readonly string[] =>
  !reach ? [] : reach.kind === 'column' ? [reach.column] : reach.columns;

function checkReach(table: BoundTable, live: CatalogTable, what: 'tenant' | 'person', add: Add): void {
  const reach = table[what];
  if (!reach) return;
  const columns = reachColumns(reach);
  const sql = tableSql(table.name);
  const optional = columns.filter((name) => !live.columns.find((c) => c.name === name)?.notNull);
  if (what === 'tenant' && optional.length > 0) {
    add(
      'HF_PATH_NULLABLE',
      'warning',
      `${table.name} finds its tenant through ${optional.join(', ')}, which may be NULL; such a row belongs to no tenant and is in no tenant's backup.`,
      optional.map((name) => `alter table ${sql} alter column ${ident(name)} set not null;`).join('\n'),
      optional[0],
    );
  }
  if (
    what === 'tenant' &&
    reach.kind === 'via' &&
    !table.foreignKeys.some((f) => f.parent === reach.parent && f.columns.every((c) => columns.includes(c)))
  ) {
    const list = (names: readonly string[]) => names.map(ident).join(', ');
    add(
      'HF_PATH_UNCHECKED',
      'warning',
      `${table.name} finds its tenant along ${columns.join(', ')} without a foreign key; a row that points nowhere belongs to no tenant.`,
      `alter table ${sql} add foreign key (${list(columns)}) references ${tableSql(reach.parent)} (${list(reach.parentColumns)});`,
      columns[0],
    );
  }
  const leading = (index: readonly string[]) => columns.every((name) => index.slice(0, columns.length).includes(name));
  if (what === 'tenant' && !live.indexes.some(leading)) {
    const concurrently = table.partitioned ? '' : ' concurrently';
    add(
      'HF_TENANT_INDEX_MISSING',
      'warning',
      `${table.name} has no index that begins with ${columns.join(', ')}; a tenant's backup or restore reads the whole table.`,
      `create index${concurrently} on ${sql} (${columns.map(ident).join(', ')});`,
      columns[0],
    );
  }
}

function checkSpelling(
  table: BoundTable,
  live: CatalogTable,
  what: 'tenant' | 'person',
  bound: BoundMap,
  add: Add,
): void {
  const anchor = what === 'tenant' ? bound.map.tenants : bound.map.persons;
  const reach = table[what];
  if (reach?.kind !== 'column' || !anchor || anchor.table === table.name) return;
  if (!spellsDifferently(live, reach.column)) return;
  const via = formatReach({
    kind: 'via',
    columns: [reach.column],
    parent: anchor.table,
    parentColumns: [anchor.key],
  });
  add(
    'HF_OWNER_SPELLING',
    'error',
    `${table.name}.${reach.column} may spell its ${what} otherwise than ${anchor.table} does (its type calls "A" and "a" equal), and ${what}s are told apart by spelling.`,
    `Write into holdfast.yaml, under ${table.name}:\n    ${what}: ${via}`,
    reach.column,
  );
}
