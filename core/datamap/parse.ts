/** Reads the data map out of the text of holdfast.yaml. Sections that are not the map's own are left to `settings.ts`. */
import { isMap, isScalar, type Node } from 'yaml';
import { type Entry, type Reader, readYaml } from './nodes.ts';
import { parseReach, parseTableKey, parseTableName } from './notation.ts';
import type { ColumnClass, ColumnRule, DataMap, Reach, TableName, TableRule } from './types.ts';

export const MAP_VERSION = 1;
export const CLASSES: readonly ColumnClass[] = ['none', 'internal', 'personal', 'sensitive'];
const TABLE_FIELDS = ['shared', 'tenant', 'person', 'erase', 'columns', 'sealed', 'unsealed', 'stamped', 'keep_for'];

/** ISO 8601 duration with at least one part, e.g. `P7Y`, `P90D`, `PT12H`. */
const DURATION = /^P(?=\d|T\d)(\d+Y)?(\d+M)?(\d+W)?(\d+D)?(T(?=\d)(\d+H)?(\d+M)?(\d+S)?)?$/;
export const isDuration = (text: string): boolean => DURATION.test(text);

export const isProtected = (columnClass: ColumnClass): boolean =>
  columnClass === 'personal' || columnClass === 'sensitive';

/**
 * Parses a data map. Names are not checked against a database; `bind` does that.
 * @param source what messages call the text @default 'holdfast.yaml'
 * @throws ConfigError HF_MAP_INVALID, with line and column
 */
export function parseMap(text: string, source = 'holdfast.yaml'): DataMap {
  const reader = readYaml(text, source);
  const top = new Map(reader.entries(reader.root, 'a data map').map((entry) => [entry.key, entry]));
  const version = top.get('version')?.value ?? null;
  if (!isScalar(version) || version.value !== MAP_VERSION)
    reader.fail(version ?? reader.root, `version: ${MAP_VERSION}`);

  const need = (name: string): Entry => top.get(name) ?? reader.fail(reader.root, `a section "${name}:"`, 'none');
  const key = (entry: Entry) =>
    parseTableKey(reader.text(entry.value, 'a table and its key')) ??
    reader.fail(entry.value, 'a table and its key column, like public.organizations(id)');
  const tenants = key(need('tenant'));
  const person = top.get('person');
  const tables = reader
    .entries(need('tables').value, 'tables, each with its rules')
    .map((entry) => table(reader, entry));
  const excluded = top.has('exclude') ? tableList(reader, top.get('exclude')!.value) : [];
  refuseRepeats(reader, top.get('tables')!, tables, excluded);
  return { tenants, ...(person ? { persons: key(person) } : {}), tables, excluded };
}

function table(reader: Reader, entry: Entry): TableRule {
  const name = parseTableName(entry.key) ?? reader.fail(entry.node, 'a table name, like public.orders');
  const fields = reader.fields(entry.value, `the rules of ${name}`, TABLE_FIELDS);
  const reach = (field: string): Reach | undefined => {
    const at = fields.get(field);
    if (!at) return undefined;
    return (
      parseReach(reader.text(at.value, `how the ${field} of a row is reached`)) ??
      reader.fail(at.value, 'a column name, or "via column", or "via column -> schema.table(column)"')
    );
  };
  const tenant = reach('tenant');
  const person = reach('person');
  const shared = flag(reader, fields.get('shared'));
  if (shared && tenant) reader.fail(fields.get('shared')!.node, 'either tenant or shared: true', 'both');
  if (!shared && !tenant) {
    reader.fail(entry.node, `"tenant:" for ${name}, or "shared: true" if its rows belong to no tenant`, 'neither');
  }
  return {
    name,
    ...(tenant ? { tenant } : {}),
    ...(person ? { person } : {}),
    columns: columns(reader, fields),
    erase: erase(reader, fields.get('erase')),
  };
}

function erase(reader: Reader, at: Entry | undefined): TableRule['erase'] {
  if (!at) return 'delete';
  const text = reader.text(at.value, 'delete or anonymise');
  if (text !== 'delete' && text !== 'anonymise') reader.fail(at.value, 'delete or anonymise');
  return text as TableRule['erase'];
}

function columns(reader: Reader, fields: Map<string, Entry>): Record<string, ColumnRule> {
  const rules: Record<string, ColumnRule> = {};
  // A table whose columns nobody has classified yet is read, and doctor says so.
  const at = fields.get('columns')?.value ?? null;
  if (at !== null && !(isScalar(at) && at.value === null)) {
    for (const [name, entry] of reader.fields(at, 'columns by class', CLASSES)) {
      for (const { text, node } of reader.texts(entry.value, 'a list of columns')) {
        if (Object.hasOwn(rules, text)) reader.fail(node, 'each column once', `"${text}" again`);
        const columnClass = name as ColumnClass;
        define(rules, text, { class: columnClass, sealed: isProtected(columnClass) });
      }
    }
  }
  const ruleOf = (name: string, node: Node): ColumnRule =>
    Object.hasOwn(rules, name) ? rules[name]! : reader.fail(node, 'a column that is listed under columns', `"${name}"`);
  for (const [field, sealed] of [
    ['sealed', true],
    ['unsealed', false],
  ] as const) {
    for (const { text, node } of fields.has(field) ? reader.texts(fields.get(field)!.value, 'a list of columns') : []) {
      define(rules, text, { ...ruleOf(text, node), sealed });
    }
  }
  for (const { text, node } of fields.has('stamped')
    ? reader.texts(fields.get('stamped')!.value, 'a list of columns')
    : []) {
    define(rules, text, { ...ruleOf(text, node), stamped: true });
  }
  const keep = fields.get('keep_for');
  for (const { key, node, value } of keep ? reader.entries(keep.value, 'columns with a duration') : []) {
    const retention = reader.text(value, 'a duration');
    if (!isDuration(retention)) reader.fail(value, 'an ISO 8601 duration, like P7Y or P90D');
    define(rules, key, { ...ruleOf(key, node), retention });
  }
  return rules;
}

/** A column may be called `__proto__`; assignment would lose it. */
function define(rules: Record<string, ColumnRule>, name: string, rule: ColumnRule): void {
  Object.defineProperty(rules, name, { value: rule, enumerable: true, writable: true, configurable: true });
}

function flag(reader: Reader, at: Entry | undefined): boolean {
  if (!at) return false;
  if (isScalar(at.value) && typeof at.value.value === 'boolean') return at.value.value;
  return reader.fail(at.value, 'true or false');
}

function tableList(reader: Reader, node: Node | null): TableName[] {
  if (isMap(node)) reader.fail(node, 'a list of tables');
  return reader
    .texts(node, 'a list of tables')
    .map((item) => parseTableName(item.text) ?? reader.fail(item.node, 'a table name, like public.migrations'));
}

/** YAML refuses equal keys, but `orders` and `public.orders` are one table too. */
function refuseRepeats(reader: Reader, at: Entry, tables: readonly TableRule[], excluded: readonly TableName[]): void {
  const seen = new Set<TableName>();
  for (const name of [...tables.map((t) => t.name), ...excluded]) {
    if (seen.has(name)) reader.fail(at.node, 'each table once, under tables or under exclude', `${name} again`);
    seen.add(name);
  }
}
