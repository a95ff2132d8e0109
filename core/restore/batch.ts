/** Statements over many tables in one round trip: a restore touches many tables, most of them hardly. */
import type pg from 'pg';
import type { Client } from '../sql.ts';

/** Runs the statements in order, as one message; they take no parameters. Stops at the first that fails. */
export async function batch(client: Client, statements: readonly string[]): Promise<pg.QueryResult[]> {
  if (statements.length === 0) return [];
  const results = (await client.query(statements.join(';\n'))) as pg.QueryResult | pg.QueryResult[];
  return Array.isArray(results) ? results : [results];
}

/** The rows of several queries that have the same columns, as one. The queries stand in brackets of their own. */
export async function union<R extends pg.QueryResultRow>(client: Client, queries: readonly string[]): Promise<R[]> {
  if (queries.length === 0) return [];
  return (await client.query<R>(queries.map((q) => `(${q})`).join(' union all '))).rows;
}
