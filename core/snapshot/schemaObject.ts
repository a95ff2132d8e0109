/** The schema and the sequences of the database, as one small sealed object of every backup. */
import type pg from 'pg';
import type { Context } from '../context.ts';
import { readSchema } from '../schema/read.ts';
import { readSequences } from '../schema/sequences.ts';
import { ObjectWriter } from './container.ts';
import type { BackupRun } from './run.ts';
import { sealSlab } from './slab.ts';
import { type ManifestObject, SHARED } from './types.ts';

/** Pseudo-tables of a schema slab: one row with one column of JSON each. */
export const SCHEMA = 'holdfast.schema';
export const SEQUENCES = 'holdfast.sequences';

export async function writeSchemaObject(
  ctx: Context,
  run: BackupRun,
  client: pg.Client,
  snapshot: string,
): Promise<ManifestObject> {
  const record = await readSchema(client);
  const sequences = await readSequences(client);
  const section = (table: string, value: unknown) => {
    const open = Buffer.from(`${JSON.stringify(value).replaceAll('\\', '\\\\')}\n`);
    return { table, columns: ['json'], sealed: [], rows: 1, runs: [[-1, 1]] as const, open };
  };
  const about = run.nextName('schema');
  const key = await run.backupKey(SHARED);
  const place = { backup: run.id, tenant: SHARED, object: about.name, ordinal: 0, snapshot };
  const sections = [section(SCHEMA, record), section(SEQUENCES, sequences)];
  const bytes = await sealSlab({ ...place, sections, persons: [] }, key);
  const writer = new ObjectWriter(ctx.store, { name: about.name, kind: 'schema', snapshot });
  try {
    await writer.add({ tenant: SHARED, rows: { [SCHEMA]: 1, [SEQUENCES]: 1 } }, bytes);
    return await writer.finish();
  } catch (error) {
    await writer.abort(error);
    throw error;
  }
}
