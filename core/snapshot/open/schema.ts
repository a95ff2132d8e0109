/** As much of a recorded schema as queries need: types, functions, tables, views, keys. Nothing that fires, refers or guards. */
import { DatabaseError, HoldfastError } from '../../errors.ts';
import { createSchema } from '../../schema/create.ts';
import { BEFORE_DATA, MAY_WAIT } from '../../schema/steps.ts';
import type { SchemaObject, SchemaRecord } from '../../schema/types.ts';
import type { Engine } from './engine.ts';

/**
 * A key must be there for `group by` its column to stand for the row, and says which rows a log means. The key of a
 * partitioned table is whole only with the indexes of its partitions.
 */
function keysOf(objects: readonly SchemaObject[]): SchemaObject[] {
  const partitions = new Set(objects.filter((o) => o.kind === 'partition').map((o) => o.name));
  return objects.filter(({ kind, sql, table }) => {
    if (kind === 'index') return partitions.has(table ?? '') || sql.some((s) => /^create unique index/i.test(s));
    return kind === 'key' || kind === 'partitioned key' || kind === 'partitioned index' || kind === 'index partition';
  });
}

/**
 * Makes the schema, without the extensions that this engine does not have.
 * @returns what was left out
 * @throws DatabaseError HF_ENGINE_SCHEMA naming what it cannot make
 */
export async function makeSchema(engine: Engine, schema: SchemaRecord, missing: readonly string[]): Promise<string[]> {
  const usable = schema.objects.filter((o) => o.kind !== 'extension' || !missing.includes(o.name.replaceAll('"', '')));
  const before = { ...schema, objects: usable.filter((o) => BEFORE_DATA.has(o.kind)) };
  const after = { ...schema, objects: [...keysOf(usable), ...usable.filter((o) => MAY_WAIT.has(o.kind))] };
  try {
    const first = await createSchema(engine.admin, before, 'before-data');
    const second = await createSchema(engine.admin, after, 'after-data');
    return [...first.notes, ...second.notes, ...missing.map((name) => `Extension ${name} is not there.`)];
  } catch (error) {
    if (!(error instanceof HoldfastError) || error.code !== 'HF_SCHEMA_CREATE') throw error;
    const lacks = missing.length > 0 ? ` It has no extension ${missing.join(', ')}.` : '';
    throw new DatabaseError('HF_ENGINE_SCHEMA', `${engine.name} cannot hold this schema: ${error.message}${lacks}`, {
      cause: error,
      action:
        engine.name === 'pglite'
          ? 'Use --engine scratch, or name a server that has what is missing with --server.'
          : 'Name a server with --server that has what is missing.',
      details: { ...error.details, extensions: missing },
    });
  }
}
