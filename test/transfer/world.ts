/** The world of `graph.ts`, protected, with a store. */
import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import type { DataMap } from '../../core/datamap/types.ts';
import { makeWorld, type World } from '../snapshot/world.ts';
import { MAP, SCHEMA } from './graph.ts';

/** @param more tables beside those of the graph; those with a `firm_id` are the tenant's, `use` is reached by its code */
export async function graphWorld(more = '', serverUrl?: string): Promise<World & { drop(): Promise<void> }> {
  const directory = await mkdtemp(join(tmpdir(), 'holdfast-transfer-'));
  const world = await makeWorld({
    directory,
    map: more === '' ? MAP : withMore(),
    fill: (client) => client.query(SCHEMA + more),
    ...(serverUrl ? { serverUrl } : {}),
  });
  return {
    ...world,
    async drop() {
      await world.database.drop();
      await rm(directory, { recursive: true, force: true });
    },
  };
}

function withMore(): DataMap {
  const own = { kind: 'column', column: 'firm_id' } as const;
  const code = { kind: 'via', columns: ['code'], parent: 'g.code', parentColumns: ['code'] } as const;
  const tables = [
    { name: 'g.code', tenant: own },
    { name: 'g.use', tenant: code },
    { name: 'g.blob', tenant: own },
    { name: 'g.mail', tenant: own, columns: { during: { class: 'none', sealed: false } } },
  ] as const;
  return { ...MAP, tables: [...MAP.tables, ...tables.map((t) => ({ columns: {}, erase: 'delete' as const, ...t }))] };
}
