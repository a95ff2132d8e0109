/** The small shop of the history tests, with helpers to note moments and to read answers. */
import type { Page, Placed } from '../../core/history/travel/types.ts';
import { openShop, type Shop } from '../history/support.ts';

export interface TravelShop extends Shop {
  /** The server's clock, to the microsecond. */
  now(): Promise<string>;
  /** Rows as the server prints them. */
  lines(sql: string, ...values: unknown[]): Promise<string[]>;
}

export async function openTravelShop(): Promise<TravelShop> {
  const shop = await openShop();
  const lines = async (sql: string, ...values: unknown[]) => {
    const { rows } = await shop.client.query(`select x::text as line from (${sql}) x`, values);
    return rows.map((r) => r.line as string);
  };
  const now = async () => {
    const { rows } = await shop.client.query(
      `select to_char(clock_timestamp() at time zone 'UTC', 'YYYY-MM-DD"T"HH24:MI:SS.US"Z"') as now`,
    );
    return rows[0].now as string;
  };
  return { ...shop, lines, now };
}

export async function all<T>(items: AsyncIterable<Placed<T>>): Promise<T[]> {
  const taken: T[] = [];
  for await (const { item } of items) taken.push(item);
  return taken;
}

/** Pages until the end; `read` gets the place to go on from. */
export async function allPages<T>(read: (after: string | undefined) => Promise<Page<T>>): Promise<T[][]> {
  const pages: T[][] = [];
  for (let after: string | undefined; ; ) {
    const { items, next } = await read(after);
    pages.push([...items]);
    if (next === null) return pages;
    after = next;
  }
}
