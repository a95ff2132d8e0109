/** Goes on with sealing after the server was set back: by a physical restore, or a replica that was behind. */

import { hash } from 'node:crypto';
import type pg from 'pg';
import { ConfigError } from '../../errors.ts';
import { connect, transaction } from '../../sql.ts';
import { anchor, anchorName, newestAnchor } from './anchors.ts';
import { insertEntry, makeEntry } from './entry.ts';
import { openLog } from './log.ts';
import type { SealContext } from './seal.ts';

/**
 * Signs that the entries which the store has and the database has not were lost, and begins a new log. From then on `verify`
 * tells of the loss as a note.
 * @throws ConfigError HF_SEAL_NOT_LOST: the store has nothing that the database lacks
 */
export async function resumeSeals(
  ctx: SealContext,
  reason: string,
): Promise<{ readonly lostFrom: number; readonly lostTo: number }> {
  const client: pg.Client = await connect(ctx.databaseUrl, 'holdfast-seal');
  const { store, keys } = ctx;
  try {
    const { entry, newest } = await transaction(client, 'isolation level read committed', async () => {
      const log = await openLog(client, ctx, { resume: true });
      const newest = store && log.last ? await newestAnchor(store, log.last) : 0;
      if (!store || !log.last || newest <= log.last.entry.number) {
        throw new ConfigError('HF_SEAL_NOT_LOST', 'No seal was lost: the store has none that the database lacks.', {
          action: 'Run "holdfast audit seal" without --resume.',
        });
      }
      const bytes = await store.get(anchorName(log.last.entry.log, newest));
      const after = { log: log.last.entry.log, number: newest, sha256: hash('sha256', bytes, 'hex') };
      const body = { kind: 'resume', reason, after } as const;
      const entry = await makeEntry(keys, log.last, log.epoch, log.heads, body, { newLog: true });
      await insertEntry(client, entry);
      return { entry, newest };
    });
    await anchor({ store: store!, keys }, client, entry);
    return { lostFrom: entry.entry.number, lostTo: newest };
  } finally {
    await client.end();
  }
}
