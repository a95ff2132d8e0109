/** Writes a data map as the text of holdfast.yaml, laid out for the person who reviews it. */
import { DEFAULT_SCHEDULES } from '../schedules/define.ts';
import { formatReach, formatTableKey } from './notation.ts';
import { CLASSES, isProtected, MAP_VERSION } from './parse.ts';
import type { DataMap, TableRule } from './types.ts';

const WIDTH = 110;

const HEADER = `\
# What Holdfast protects, and whose data it is. Review it, edit it, check it with \`holdfast doctor\`.
#
# tenant    how a row's tenant is found: a column of the row, or "via column -> table(key)" along a foreign key.
# person    the same for the person whom a row is about. Leave it out where there is none.
# shared    true: the table belongs to no tenant. It is in whole-database backups only.
# erase     what happens to a person's rows when they are erased: delete, or anonymise (keep the row, clear what is personal).
# columns   each column in one class. none: says nothing about anyone. internal: your own business.
#           personal: about a person. sensitive: health, faith, politics, children, the inside of a private text.
#           Personal and sensitive columns are sealed in backups under the person's own key;
#           "unsealed: [column]" leaves one out, "sealed: [column]" adds one.
# stamped   columns that every write sets, such as updated_at: a later stamp does not stand in the way of an undo.
# keep_for  how long a value may be kept: {ip_address: P90D}. Without it, as long as the row.
`;

const FOOTER = `\
# Where things are kept, and when; these are the defaults.
# store: ./holdfast-store              # or s3://bucket/prefix
# keys: ./holdfast.key                 # root key; keep a copy of it elsewhere
# person_keys: ./holdfast-person-keys  # must lie outside the store
# retention: {daily: 7, weekly: 4, monthly: 12, trail: P90D}
${defaultSchedules()}`;

function defaultSchedules(): string {
  const lines = DEFAULT_SCHEDULES.map(
    ({ name, type, cron }) => `#   - {name: ${name}, type: ${type}, cron: "${cron}", time_zone: UTC}\n`,
  );
  return `# schedules:\n${lines.join('')}`;
}

/** The text of a new holdfast.yaml: the map, and the settings' defaults as comments. */
export const formatNewFile = (map: DataMap): string => `${formatMap(map)}\n${FOOTER}`;

/** The map alone. `parseMap` of it gives an equal map. */
export function formatMap(map: DataMap): string {
  const lines = [HEADER, `version: ${MAP_VERSION}`, `tenant: ${notation(formatTableKey(map.tenants))}`];
  if (map.persons) lines.push(`person: ${notation(formatTableKey(map.persons))}`);
  lines.push('', map.tables.length === 0 ? 'tables: {}' : 'tables:');
  for (const table of map.tables) lines.push(...formatTable(table), '');
  if (map.excluded.length > 0) {
    lines.push('# Left unprotected on purpose: no history, not in backups.', 'exclude:');
    for (const name of map.excluded) lines.push(`  - ${notation(name)}`);
    lines.push('');
  }
  return `${lines.join('\n').trimEnd()}\n`;
}

/** The lines of one table under `tables:`. */
export function formatTable(table: TableRule): string[] {
  const lines = [`  ${notation(table.name)}:`];
  lines.push(table.tenant ? `    tenant: ${notation(formatReach(table.tenant))}` : '    shared: true');
  if (table.person) lines.push(`    person: ${notation(formatReach(table.person))}`);
  if (table.person || table.erase !== 'delete') lines.push(`    erase: ${table.erase}`);

  const columns = Object.entries(table.columns);
  if (columns.length > 0) lines.push('    columns:');
  for (const columnClass of CLASSES) {
    const names = columns.filter(([, rule]) => rule.class === columnClass).map(([name]) => name);
    if (names.length > 0) lines.push(...nameList(`      ${columnClass}: `, names));
  }
  const sealed = columns.filter(([, r]) => r.sealed && !isProtected(r.class)).map(([name]) => name);
  const unsealed = columns.filter(([, r]) => !r.sealed && isProtected(r.class)).map(([name]) => name);
  if (sealed.length > 0) lines.push(...nameList('    sealed: ', sealed));
  if (unsealed.length > 0) lines.push(...nameList('    unsealed: ', unsealed));
  const stamped = columns.filter(([, rule]) => rule.stamped).map(([name]) => name);
  if (stamped.length > 0) lines.push(...nameList('    stamped: ', stamped));
  const kept = columns.filter(([, rule]) => rule.retention !== undefined);
  if (kept.length > 0) {
    lines.push('    keep_for:', ...kept.map(([name, rule]) => `      ${scalar(name)}: ${rule.retention}`));
  }
  return lines;
}

/** `prefix[a, b, c]`, wrapped under the first name. */
export function nameList(prefix: string, names: readonly string[]): string[] {
  const lines: string[] = [];
  let line = `${prefix}[`;
  const indent = ' '.repeat(line.length);
  names.forEach((name, i) => {
    const piece = `${scalar(name)}${i === names.length - 1 ? ']' : ','}`;
    const fits = line.length + piece.length + 1 <= WIDTH || line.trim() === '' || line.endsWith('[');
    if (!fits) {
      lines.push(line);
      line = indent;
    }
    line += line.endsWith('[') || line === indent ? piece : ` ${piece}`;
  });
  return [...lines, line];
}

/** Words that YAML 1.1 or 1.2 readers take for something else than text. */
const RESERVED = /^(null|true|false|yes|no|on|off|y|n|~)$/i;

/** A YAML scalar that reads back as this very string, quoted only where it must be; safe inside a flow list too. */
function scalar(text: string): string {
  const plain = /^[\p{L}_][\p{L}\p{M}\p{N}_$.]*$/u.test(text) && !RESERVED.test(text);
  return plain ? text : JSON.stringify(text);
}

/**
 * The same for our notations (`via a, b -> t(c, d)`, `public."Order"`), which stand alone in their line or before a colon: there
 * YAML takes quotes, commas and spaces inside a plain scalar as they are.
 */
function notation(text: string): string {
  const plain = /^[\p{L}_][^\p{C}]*$/u.test(text) && !/:(\s|$)|\s#|\s$/u.test(text) && !RESERVED.test(text);
  return plain ? text : JSON.stringify(text);
}
