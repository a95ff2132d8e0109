/** The world of `graph.ts`, protected, with a store. */
import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { makeWorld, type World } from '../snapshot/world.ts';
import { MAP, SCHEMA } from './graph.ts';

export async function graphWorld(serverUrl?: string): Promise<World & { drop(): Promise<void> }> {
  const directory = await mkdtemp(join(tmpdir(), 'holdfast-transfer-'));
  const world = await makeWorld({
    directory,
    map: MAP,
    fill: (client) => client.query(SCHEMA),
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
