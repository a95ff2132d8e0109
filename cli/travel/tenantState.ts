/** `holdfast as-of` without a table: all that belonged to a tenant. */

import { ConfigError } from '../../core/errors.ts';
import { tenantAsOf } from '../../core/history/travel/tenantAsOf.ts';
import type { Placed, Row, When } from '../../core/history/travel/types.ts';
import type { Client } from '../../core/sql.ts';
import { bold, printable, table as textTable } from '../output.ts';
import type { Report } from '../report.ts';
import { emit } from './emit.ts';
import type { OutputOptions } from './options.ts';
import { short } from './show.ts';

/** How many rows each table had; with `--jsonl` the rows themselves. */
export async function tenantState(
  client: Client,
  options: OutputOptions & { readonly tenant?: string },
  at: When,
): Promise<Report> {
  if (options.tenant === undefined || options.csv || options.limit !== undefined || options.after !== undefined) {
    throw new ConfigError('HF_ARGUMENT_INVALID', 'Without a table, as-of is asked for a tenant as a whole.', {
      action: 'Name a table; or pass --tenant, with --jsonl to get the rows and without it to count them.',
    });
  }
  const { moment, states } = await tenantAsOf(client, { tenant: options.tenant, at });
  const counts: { table: string; rows: number }[] = [];
  for await (const state of states) {
    if (options.jsonl) {
      const line = (row: Row) => `${JSON.stringify({ table: state.table, row })}\n`;
      counts.push({ table: state.table, rows: (await emit(state.rows, undefined, line)).count });
    } else {
      counts.push({ table: state.table, rows: await countOf(state.rows) });
    }
  }
  if (options.jsonl) return { json: null, text: '', silent: true };
  const rows = counts.map((c) => [c.table, c.rows]);
  const title = `tenant ${bold(printable(options.tenant))} as of ${short(moment)}`;
  return {
    json: { tenant: options.tenant, moment, tables: counts },
    text: `${title}\n${textTable(['table', 'rows'], rows)}`,
  };
}

async function countOf(rows: AsyncIterable<Placed<Row>>): Promise<number> {
  let count = 0;
  for await (const _ of rows) count += 1;
  return count;
}
