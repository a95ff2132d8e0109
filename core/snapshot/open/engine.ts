/** Where a backup is opened: a PostgreSQL that is nobody's production and is gone afterwards. */
import type { SchemaRecord } from '../../schema/types.ts';
import type { Client } from '../../sql.ts';

export interface Engine {
  readonly name: 'pglite' | 'scratch';
  /** May do anything: makes the schema and loads rows. */
  readonly admin: Client;
  /** Runs queries; has no right but those that `reader` is granted. It may be `admin` itself, in another role. */
  readonly queries: Client;
  /** Name of the role that queries run in. */
  readonly reader: string;
  /** What differs from the database that was backed up. */
  readonly notes: readonly string[];
  /** Stops a query that does not stop by itself. The engine is of no use afterwards. */
  kill(): Promise<void>;
  close(): Promise<void>;
}

/** Opens an engine for a schema; `scratch` makes its own choice of server. */
export type EngineMaker = (schema: SchemaRecord) => Promise<Engine>;

export const READER = 'holdfast_reader';

/** Text that sorts by code point, so that a result has the same order in every engine. */
const BY_CODE_POINT = /^(C|POSIX|C\.UTF-?8)$/i;

export function orderNote(schema: SchemaRecord, got: string): readonly string[] {
  const { collate } = schema.database;
  if (collate === got || (BY_CODE_POINT.test(collate) && BY_CODE_POINT.test(got))) return [];
  return [`Text sorts by code point here; in the database it sorts by ${collate}. Comparing for equality is the same.`];
}
