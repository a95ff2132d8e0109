import { NOT_STRUCTURE, type SchemaKind, type SchemaRecord } from './types.ts';

export interface Difference {
  readonly kind: SchemaKind | 'column';
  readonly name: string;
  readonly change: 'added' | 'dropped' | 'changed';
  /** Definitions; undefined where there is none. */
  readonly before: string | undefined;
  readonly after: string | undefined;
}

/**
 * Names what differs between two records, from `before` to `after`: empty when their fingerprints are equal. Columns are
 * named one by one; a table stands for itself only when it is new, gone or changed beyond its columns.
 */
export function schemaDrift(before: SchemaRecord, after: SchemaRecord): readonly Difference[] {
  const old = definitions(before);
  const now = definitions(after);
  const result: Difference[] = [];
  for (const key of new Set([...old.keys(), ...now.keys()])) {
    const [a, b] = [old.get(key), now.get(key)];
    if (a?.definition === b?.definition) continue;
    const { kind, name, table } = (a ?? b)!;
    // The columns of a table that came or went say nothing that the table does not.
    if (kind === 'column' && !(old.has(`table ${table}`) && now.has(`table ${table}`))) continue;
    const change = a === undefined ? 'added' : b === undefined ? 'dropped' : 'changed';
    result.push({ kind, name, change, before: a?.definition, after: b?.definition });
  }
  return result;
}

interface Definition {
  readonly kind: SchemaKind | 'column';
  readonly name: string;
  readonly table?: string;
  readonly definition: string;
}

function definitions(record: SchemaRecord): Map<string, Definition> {
  const result = new Map<string, Definition>();
  for (const object of record.objects.filter(({ kind }) => !NOT_STRUCTURE.has(kind))) {
    const columns = Object.entries(object.columns ?? {});
    let definition = object.sql.join(';\n');
    for (const [column, text] of columns) {
      const name = `${object.name}.${column}`;
      result.set(`column ${name}`, { kind: 'column', name, table: object.name, definition: text });
    }
    // Without its columns and their order, what is left of CREATE TABLE is how it is stored and partitioned.
    if (object.kind === 'table')
      definition = withoutColumns(
        object.sql,
        columns.map(([, text]) => text),
      );
    result.set(`${object.kind} ${object.name}`, { kind: object.kind, name: object.name, definition });
  }
  return result;
}

function withoutColumns(sql: readonly string[], columns: readonly string[]): string {
  // Longest first: one column's definition may begin another's.
  const text = columns.toSorted((a, b) => b.length - a.length).reduce((rest, each) => rest.replace(each, ''), sql[0]!);
  return [text.replace(/\([, ]*\)/, '(…)'), ...sql.slice(1)].join(';\n');
}
