/** Rows of a query, fetched a thousand at a time, every value as PostgreSQL prints it. */
import type { Client } from '../../sql.ts';
import { ident, literal } from '../../sql.ts';
import { queryError } from './statement.ts';

export interface ResultColumn {
  readonly name: string;
  /** `format_type`, e.g. `numeric(10,2)`; domains are shown as what they are made of. */
  readonly type: string;
}

export interface QueryResult {
  readonly columns: readonly ResultColumn[];
  /** Ends the transaction when it is done or left; must be consumed. */
  readonly rows: AsyncGenerator<readonly (string | null)[]>;
}

const CURSOR = '"_hf_query"';
const HEAD = `declare ${CURSOR} no scroll cursor for\n`;
const FETCH = 1000;
/** Everything as text: a number or a date must not pass through JavaScript's own. */
const AS_TEXT = { getTypeParser: () => (value: string) => value };

export interface RunOptions {
  readonly role: string;
  readonly searchPath: readonly string[];
  /** Milliseconds. */
  readonly timeout: number;
}

/** Opens a cursor over the query in a read-only transaction. PostgreSQL itself refuses a cursor over anything that writes. */
export async function runQuery(client: Client, sql: string, options: RunOptions): Promise<QueryResult> {
  const fetch = (n: number) =>
    client.query({ text: `fetch ${n} from ${CURSOR}`, rowMode: 'array', types: AS_TEXT } as never) as Promise<{
      rows: unknown;
      fields: { name: string; dataTypeID: number; dataTypeModifier: number }[];
    }>;
  const refused = (error: unknown) => queryError(error, { sql, before: HEAD.length });
  await client.query('begin isolation level repeatable read read only');
  try {
    await client.query(
      `select set_config('statement_timeout', $1, true), set_config('search_path', $2, true), set_config('role', $3, true)`,
      [`${options.timeout}ms`, options.searchPath.map(ident).join(', '), options.role],
    );
    await client.query({ text: HEAD + sql, queryMode: 'extended' } as never);
    let next = await fetch(FETCH);
    const { rows: types } = await client.query<{ type: string }>(
      `select pg_catalog.format_type(t.oid, t.mod) as type
         from unnest(${oids(next.fields.map((f) => f.dataTypeID))}::oid[], ${oids(next.fields.map((f) => f.dataTypeModifier))}::int[])
              with ordinality t (oid, mod, n) order by n`,
    );
    const columns = next.fields.map((f, i) => ({ name: f.name, type: types[i]!.type }));
    async function* read(): AsyncGenerator<readonly (string | null)[]> {
      try {
        for (;;) {
          const rows = next.rows as (string | null)[][];
          yield* rows;
          if (rows.length < FETCH) return;
          next = await fetch(FETCH);
        }
      } catch (error) {
        throw refused(error);
      } finally {
        await client.query('rollback').catch(() => {}); // what went wrong before is what to report
      }
    }
    return { columns, rows: read() };
  } catch (error) {
    await client.query('rollback').catch(() => {}); // the first error is the one to report
    throw refused(error);
  }
}

const oids = (numbers: readonly number[]): string => literal(`{${numbers.join(',')}}`);
