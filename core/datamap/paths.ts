/** Finds how each table reaches its tenant or its person: a column of its own, else the best path of foreign keys. */

import { splitTableName } from '../sql.ts';
import { type Anchor, conventionalColumn, looksLikePersons, type Note } from './anchors.ts';
import type { Catalog, CatalogForeignKey, CatalogTable } from './catalog.ts';
import { formatReach } from './notation.ts';
import type { Reach, TableName } from './types.ts';
import { words } from './words.ts';

export interface Found {
  readonly reach: Reach;
  /** Rows are the person's own, and so are rows that hang on them. Always true for tenants. */
  readonly owns: boolean;
  /** The hops that may be NULL weigh ten: a longer path that is always there beats a shorter one that may not be. */
  readonly cost: number;
}

/** How far a foreign key to the persons makes the row theirs: it is theirs, it keeps their name, or they only acted on it. */
export type Grade = 'owns' | 'names' | 'acts';

const ACTING = new Set(
  'by approver reviewer inviter editor moderator assignee manager supervisor lead leader head admin administrator operator agent handler'.split(
    ' ',
  ),
);
const OWNING = new Set(
  'user author sender customer patient member person employee student subscriber participant client guest resident profile contact'.split(
    ' ',
  ),
);

/**
 * From the name of the columns, what happens to the row when the person is deleted, and whether it can be without one.
 * A row that outlives the person under another's name (a team and its coach) only names them.
 */
function grade(columns: readonly string[], onDelete: CatalogForeignKey['onDelete'], required: boolean): Grade {
  const named = columns.flatMap(words);
  if (named.some((word) => ACTING.has(word))) return 'acts';
  if (onDelete === 'cascade') return 'owns';
  const owning = named.some((word) => OWNING.has(word));
  if (onDelete === 'set null' || onDelete === 'set default') return owning ? 'names' : 'acts';
  return owning ? 'owns' : required ? 'names' : 'acts';
}

/** The same for a hop to something that is the person's: what is part of it is theirs, what merely points to it is not. */
function gradeHop(table: CatalogTable, key: CatalogForeignKey, search: Search): Grade {
  const always = required(table, key.columns);
  if (search.what === 'tenant') return 'owns';
  if (key.parent === search.anchor.table.name) return grade(key.columns, key.onDelete, always);
  if (key.columns.flatMap(words).some((word) => ACTING.has(word))) return 'acts';
  if (always || key.onDelete === 'cascade') return 'owns';
  return key.onDelete === 'set null' || key.onDelete === 'set default' ? 'acts' : 'names';
}

interface Search {
  readonly what: 'tenant' | 'person';
  readonly anchor: Anchor;
  /** Tables that no path may pass through. */
  readonly closed: ReadonlySet<TableName>;
  readonly notes: Note[];
}

/** The reach of every table that has one. Cycles and self references end where a table is settled. */
export function findPaths(catalog: Catalog, search: Search): Map<TableName, Found> {
  const { anchor, closed } = search;
  const found = new Map<TableName, Found>([
    [anchor.table.name, { reach: { kind: 'column', column: anchor.key }, owns: true, cost: 0 }],
  ]);
  const open = catalog.tables.filter((t) => t !== anchor.table && !closed.has(t.name));
  for (let grew = true; grew; ) {
    grew = false;
    for (const table of open) {
      const direct = found.has(table.name) ? undefined : directColumn(table, found, search);
      if (direct) {
        found.set(table.name, direct);
        grew = true;
      }
    }
  }
  for (const table of open) {
    if (found.has(table.name)) continue;
    const column = conventionalColumn(table, anchor.table, anchor.key);
    if (column === undefined || spellsDifferently(table, column)) continue;
    found.set(table.name, { reach: { kind: 'column', column }, owns: true, cost: 0 });
    search.notes.push({
      table: table.name,
      message: `has its ${search.what} in ${column} by its name; there is no foreign key to ${anchor.table.name}`,
    });
  }
  settlePaths(open, found, search);
  return found;
}

/** A column that a foreign key ties to a column in which the parent has the value itself. */
function directColumn(table: CatalogTable, found: ReadonlyMap<TableName, Found>, search: Search): Found | undefined {
  const options = table.foreignKeys.flatMap((key) => {
    const parent = key.parent === table.name ? undefined : found.get(key.parent);
    if (parent?.reach.kind !== 'column' || !parent.owns) return [];
    const column = key.columns[key.parentColumns.indexOf(parent.reach.column)];
    if (column === undefined || spellsDifferently(table, column)) return [];
    const how = search.what === 'tenant' ? 'owns' : grade([column], key.onDelete, required(table, [column]));
    return [{ column, how: how as Grade, required: required(table, [column]), key }];
  });
  const owning = options.filter((o) => o.how !== 'acts');
  if (search.what === 'person' && options.length > 0 && owning.length === 0) {
    const list = [...new Set(options.map((o) => o.column))].join(', ');
    noteOnce(search.notes, table.name, `names a person in ${list}, but its rows are not taken to be that person's`);
    return undefined;
  }
  const conventional = conventionalColumn(table, search.anchor.table, search.anchor.key);
  const rank = (o: (typeof options)[number]) =>
    (o.column === conventional ? 8 : 0) + (o.how === 'owns' ? 4 : 0) + (o.required ? 2 : 0);
  const best = owning.sort((a, b) => rank(b) - rank(a))[0];
  if (!best) return undefined;
  const rivals = new Set(owning.map((o) => o.column).filter((column) => column !== best.column));
  if (rivals.size > 0) {
    search.notes.push({
      table: table.name,
      message: `has its ${search.what} in ${best.column}; ${[...rivals].join(', ')} could be meant too`,
    });
  }
  return { reach: { kind: 'column', column: best.column }, owns: best.how === 'owns', cost: 0 };
}

/** Dijkstra's algorithm outward from the tables that are settled. */
function settlePaths(open: readonly CatalogTable[], found: Map<TableName, Found>, search: Search): void {
  for (;;) {
    const steps = open
      .filter((table) => !found.has(table.name))
      .flatMap((table) =>
        table.foreignKeys.flatMap((key) => {
          const parent = found.get(key.parent);
          if (!parent?.owns) return [];
          const how = gradeHop(table, key, search);
          if (how === 'acts') return [];
          return [{ table, key, how, cost: parent.cost + (required(table, key.columns) ? 1 : 10) }];
        }),
      )
      // Of two that are as short, a row belongs to the thing it is part of before the person who made it.
      .sort((a, b) => a.cost - b.cost || personLike(a.key.parent) - personLike(b.key.parent));
    const best = steps[0];
    if (!best) return;
    const reach: Reach = {
      kind: 'via',
      columns: best.key.columns,
      parent: best.key.parent,
      parentColumns: best.key.parentColumns,
    };
    const equal = steps.filter((s) => s.table === best.table && s.cost === best.cost);
    const rivals = equal.filter((s) => s !== best && personLike(s.key.parent) === personLike(best.key.parent));
    if (rivals.length > 0) {
      const list = rivals.map((s) => `via ${s.key.columns.join(', ')}`).join(' or ');
      search.notes.push({
        table: best.table.name,
        message: `reaches its ${search.what} ${formatReach(reach)}; ${list} is as short`,
      });
    }
    if (search.what === 'tenant' && !required(best.table, best.key.columns)) {
      search.notes.push({
        table: best.table.name,
        message: `reaches its tenant through ${best.key.columns.join(', ')}, which may be NULL; such rows belong to no tenant`,
      });
    }
    found.set(best.table.name, { reach, owns: best.how === 'owns', cost: best.cost });
  }
}

/**
 * Whether equal values of the column may differ as text ("ACME" and "Acme" in citext). Owners are told apart by text, so the
 * value must be taken from the owner's own row then.
 */
export function spellsDifferently(table: Pick<CatalogTable, 'columns'>, name: string): boolean {
  const column = table.columns.find((c) => c.name === name);
  return column !== undefined && (column.equals !== undefined || !column.deterministic);
}

const personLike = (name: TableName): number => (looksLikePersons(splitTableName(name).relname) ? 1 : 0);

const required = (table: CatalogTable, columns: readonly string[]): boolean =>
  columns.every((name) => table.columns.find((c) => c.name === name)?.notNull);

function noteOnce(notes: Note[], table: TableName, message: string): void {
  if (!notes.some((n) => n.table === table && n.message === message)) notes.push({ table, message });
}
