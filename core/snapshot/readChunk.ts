/** Reads one chunk: all its tables in one short transaction, one snapshot, split by tenant and person. */

import type pg from 'pg';
import { tableNamed } from '../datamap/reach.ts';
import type { BoundMap } from '../datamap/types.ts';
import { DatabaseError } from '../errors.ts';
import { qualified, READ_SNAPSHOT, transaction } from '../sql.ts';
import { copyRows } from './copyRows.ts';
import { PartBuilder, type PartOptions } from './parts.ts';
import type { ChunkSpec } from './plan.ts';
import { rowSource, tablesTouched } from './rowSource.ts';

export interface ReadOptions extends PartOptions {
  /** Column fingerprint that the plan was made under. */
  readonly fingerprint: string;
}

/**
 * Reads the chunk `spec` and hands it over in one part or, when it is larger than `cut`, in several of the same snapshot.
 * @throws DatabaseError HF_SCHEMA_MOVED when a table was altered since the plan was made
 */
export async function readChunk(
  client: pg.Client,
  bound: BoundMap,
  spec: ChunkSpec,
  planned: readonly string[],
  options: ReadOptions,
): Promise<void> {
  const parts = new PartBuilder(options);
  await transaction(client, READ_SNAPSHOT, async () => {
    await parts.begin(await openChunk(client, bound, spec, options.fingerprint));
    try {
      for (const name of spec.tables) {
        const source = rowSource(bound, tableNamed(bound, name), spec, planned);
        await parts.read(source, (arena, sink) => copyRows(client, source.sql, arena, sink));
      }
    } catch (error) {
      parts.drop();
      throw error;
    }
  });
  parts.handOver();
}

/** Locks what the chunk's statements touch, and takes the snapshot that they read in. @throws DatabaseError HF_SCHEMA_MOVED */
export async function openChunk(
  client: pg.Client,
  bound: BoundMap,
  spec: ChunkSpec,
  fingerprint: string,
): Promise<string> {
  const tables = spec.tables.map((name) => tableNamed(bound, name));
  const locked = tablesTouched(bound, tables).map((t) => qualified(t.schema, t.relname));
  // Locks first, snapshot after: TRUNCATE and rewrites of a table are not versioned, and would leave an older snapshot
  // with an empty table.
  await client.query(`lock table ${locked.join(', ')} in access share mode`);
  const { rows } = await client.query<{ snapshot: string }>('select pg_current_snapshot()::text as snapshot');
  if ((await columnFingerprint(client, bound)) !== fingerprint) throw moved(spec);
  return rows[0]!.snapshot;
}

/** Changes when any column of a protected table is added, dropped, renamed or retyped. */
export async function columnFingerprint(client: pg.Client, bound: BoundMap): Promise<string> {
  const { rows } = await client.query<{ print: string }>(
    `select md5(coalesce(string_agg(concat_ws(' ', attrelid, attnum, attname, atttypid, atttypmod, attgenerated), ','
                                    order by attrelid, attnum), '')) as print
       from pg_attribute where attrelid = any($1::oid[]) and attnum > 0 and not attisdropped`,
    [bound.tables.map((t) => t.oid)],
  );
  return rows[0]!.print;
}

const moved = (spec: ChunkSpec) =>
  new DatabaseError('HF_SCHEMA_MOVED', 'A protected table was altered while the backup was running.', {
    action: 'Run the backup again: it starts anew under the new schema.',
    details: { chunk: spec.id, tables: spec.tables },
  });
