/** Loading the rows of a base straight into the tables of a database that is being made. */
import { RestoreError } from '../errors.ts';
import type { Progress } from '../ports.ts';
import type { SlabReader } from '../snapshot/readSlab.ts';
import { SHARED } from '../snapshot/types.ts';
import { type Client, ident, qualified } from '../sql.ts';
import type { Chain } from './chain.ts';
import { copyIn } from './copy.ts';
import { restorable } from './erasedRows.ts';
import type { RowSet } from './rowSet.ts';
import { SlabQueue, slabsOf } from './slabQueue.ts';

/** Where the rows of a table go. */
export interface LoadTable {
  readonly schema: string;
  readonly relname: string;
  readonly erase: 'delete' | 'anonymise';
  /** Whether its rows belong to tenants. */
  readonly tenant: boolean;
}

export interface LoadChunks {
  readonly reader: SlabReader;
  readonly chain: Chain;
  /** null: everything; else this tenant, and the shared tables. */
  readonly tenant: string | null;
  /** By the name that the backup has for it. */
  readonly tables: ReadonlyMap<string, LoadTable>;
  readonly progress: Progress;
  /** Told of every row that was loaded, per table. */
  readonly rowSets?: (table: string) => RowSet;
}

/** Each client takes the next slab when it has loaded the one before; the slab after that is decrypted meanwhile. */
export async function loadChunks(
  clients: readonly Client[],
  load: LoadChunks,
): Promise<{ rows: number; erased: number }> {
  const { tenant, progress } = load;
  const wanted = (t: string) => tenant === null || t === tenant || t === SHARED;
  const refs = slabsOf(load.chain.base, 'chunk', wanted);
  progress.start(
    'Loading',
    refs.reduce((sum, r) => sum + r.slab.length, 0),
    'bytes',
  );
  const queue = new SlabQueue(load.reader, refs);
  let rows = 0;
  let erased = 0;
  await Promise.all(
    clients.map(async (client) => {
      const batches = new Batches(client);
      for await (const { ref, sections } of queue.take()) {
        for (const section of sections) {
          const table = load.tables.get(section.table);
          // Rows of a tenant table that belong to no tenant are not part of one tenant.
          if (!table || (tenant !== null && ref.slab.tenant === SHARED && table.tenant)) continue;
          const { data, dropped } = restorable(section, table.erase);
          erased += dropped;
          load.rowSets?.(section.table).reader(section.columns)(data);
          // Not `rows += await …`: that reads the sum before it waits, and the other connection adds to it meanwhile.
          const sent = await batches.add(table, section.columns, data);
          rows += sent;
        }
        progress.advance(ref.slab.length);
      }
      const rest = await batches.flush();
      rows += rest;
    }),
  );
  progress.done();
  return { rows, erased };
}

/** Bytes gathered for one table before they are sent. */
const BATCH = 1 << 20;

/**
 * A small tenant has few rows of each table; a COPY for each of those would cost more than the rows. The buffer of a table is
 * used again and again: new ones for every batch kept the garbage collector busy for a third of a restore.
 */
class Batches {
  readonly #client: Client;
  readonly #open = new Map<string, { readonly buffer: Buffer; bytes: number }>();

  constructor(client: Client) {
    this.#client = client;
  }

  /** Returns how many rows were sent now. */
  async add(table: LoadTable, columns: readonly string[], data: Buffer): Promise<number> {
    const sql = `copy ${qualified(table.schema, table.relname)} (${columns.map(ident).join(', ')}) from stdin`;
    let batch = this.#open.get(sql);
    let rows = 0;
    if (batch && batch.bytes + data.length > BATCH) {
      rows += await this.#send(sql, batch.buffer.subarray(0, batch.bytes));
      batch.bytes = 0;
    }
    if (data.length >= BATCH / 4) return rows + (await this.#send(sql, data));
    if (!batch) {
      batch = { buffer: Buffer.allocUnsafeSlow(BATCH), bytes: 0 };
      this.#open.set(sql, batch);
    }
    batch.bytes += data.copy(batch.buffer, batch.bytes);
    return rows;
  }

  async flush(): Promise<number> {
    let rows = 0;
    for (const [sql, { buffer, bytes }] of this.#open) {
      if (bytes > 0) rows += await this.#send(sql, buffer.subarray(0, bytes));
    }
    this.#open.clear();
    return rows;
  }

  /** The server has taken everything in when this resolves. */
  async #send(sql: string, data: Buffer): Promise<number> {
    try {
      return await copyIn(this.#client, sql, [data]);
    } catch (cause) {
      if ((cause as { code?: string }).code !== '42703') throw cause;
      throw new RestoreError(
        'HF_SCHEMA_CHANGED',
        `A table has changed since the base was taken: ${(cause as Error).message}.`,
        {
          cause,
          action: 'Restore to a moment before that change, or from a full backup taken after it.',
          details: { statement: sql },
        },
      );
    }
  }
}
