/** Loading the rows of a base straight into the tables of a database that is being made. */
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
      for await (const { ref, sections } of queue.take()) {
        for (const section of sections) {
          const table = load.tables.get(section.table);
          // Rows of a tenant table that belong to no tenant are not part of one tenant.
          if (!table || (tenant !== null && ref.slab.tenant === SHARED && table.tenant)) continue;
          const { data, dropped } = restorable(section, table.erase);
          const columns = section.columns.map(ident).join(', ');
          erased += dropped;
          rows += await copyIn(client, `copy ${qualified(table.schema, table.relname)} (${columns}) from stdin`, [
            data,
          ]);
          load.rowSets?.(section.table).reader(section.columns)(data);
        }
        progress.advance(ref.slab.length);
      }
    }),
  );
  progress.done();
  return { rows, erased };
}
