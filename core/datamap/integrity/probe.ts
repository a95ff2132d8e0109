/** Looking at rows without getting in anybody's way: read only, for a limited time, and no further than needed. */
import { type Client, transaction } from '../../sql.ts';
import type { TableName } from '../types.ts';
import type { Unchecked } from './types.ts';

/** Counting stops here: whether it is 1,000 rows or a million does not change what to do. */
const ENOUGH = 1000;
const SAMPLES = 5;

export interface Found {
  readonly count: number;
  /** Text of the first column of a few rows. */
  readonly rows: readonly string[];
}

export class Probe {
  readonly unchecked: Unchecked[] = [];
  readonly #client: Client;
  readonly #milliseconds: number;

  /** @param milliseconds for one look */
  constructor(client: Client, milliseconds: number) {
    this.#client = client;
    this.#milliseconds = milliseconds;
  }

  /**
   * Rows of `select <record> from …`; undefined when it took too long, which is noted.
   * @param what for the note
   */
  async rows(table: TableName, what: string, sql: string): Promise<Found | undefined> {
    const got = await this.query<{ r: string | null }>(
      table,
      what,
      `select q.r::text as r from (${sql}) q (r) limit ${ENOUGH + 1}`,
    );
    return got && { count: got.length, rows: got.slice(0, SAMPLES).map((row) => row.r ?? '(no key)') };
  }

  async query<Row>(table: TableName, what: string, sql: string): Promise<Row[] | undefined> {
    try {
      return await transaction(this.#client, 'read only', async () => {
        await this.#client.query(
          "select set_config('statement_timeout', $1, true), set_config('lock_timeout', '2s', true)",
          [`${this.#milliseconds}ms`],
        );
        return (await this.#client.query(sql)).rows as Row[];
      });
    } catch (error) {
      const reason = REASONS[(error as { code?: string }).code ?? ''];
      if (!reason) throw error;
      this.unchecked.push({ table, what, reason: reason(this.#milliseconds) });
      return undefined;
    }
  }
}

const REASONS: Readonly<Record<string, (ms: number) => string>> = {
  57014: (ms) => `it took longer than ${ms / 1000} s`,
  '55P03': () => 'the table is locked',
  42501: () => 'this role may not read it',
};

/** "3 rows", "more than 1,000 rows". */
export const many = (count: number): string =>
  count > ENOUGH ? `more than ${ENOUGH.toLocaleString('en')} rows` : `${count} ${count === 1 ? 'row' : 'rows'}`;
