/** The server of a scratch database: the one that was named, or one that is started for as long as it is needed. */
import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import type { EngineMaker } from '../core/snapshot/open/engine.ts';
import { openScratch } from '../core/snapshot/open/scratch.ts';

/** Production's server is never taken unless it is named. */
export function scratchMaker(server: string | undefined): EngineMaker {
  if (server !== undefined) return (schema) => openScratch(server, schema);
  return async (schema) => {
    const { EmbeddedServer } = await import('../adapters/local/embedded.ts');
    const directory = await mkdtemp(join(tmpdir(), 'holdfast-query-'));
    const embedded = await EmbeddedServer.start({ directory, settings: { fsync: 'off', full_page_writes: 'off' } });
    return openScratch(embedded.url(), schema, async () => {
      await embedded.stop();
      await rm(directory, { recursive: true, force: true });
    });
  };
}
