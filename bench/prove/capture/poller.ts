/** Follows the trail while it is written: with snapshots, as Holdfast does, and as many do, by seq and by time. */
import type pg from 'pg';
import { advance } from '../../../core/history/advance.ts';
import { readChanges } from '../../../core/history/changes.ts';
import type { Snapshot } from '../../../core/history/types.ts';

export interface Seen {
  readonly bySnapshot: Map<string, number>;
  readonly bySeq: Set<string>;
  readonly byTime: Set<string>;
}

export interface Poller {
  readonly seen: Seen;
  /** Polls once more and ends. */
  stop(): Promise<void>;
}

export function startPoller(client: pg.Client, from: Snapshot): Poller {
  const seen: Seen = { bySnapshot: new Map(), bySeq: new Set(), byTime: new Set() };
  let snapshot = from;
  let seq = '0';
  let at = '-infinity';
  let running = true;

  async function poll(): Promise<void> {
    const horizon = await advance(client);
    for await (const change of readChanges(client, { from: snapshot, to: horizon.snapshot, order: 'seq' })) {
      const n = String(change.seq);
      seen.bySnapshot.set(n, (seen.bySnapshot.get(n) ?? 0) + 1);
    }
    snapshot = horizon.snapshot;
    const later = await client.query('select seq::text from holdfast.trail where seq > $1 order by seq', [seq]);
    for (const row of later.rows) seen.bySeq.add(row.seq);
    seq = later.rows.at(-1)?.seq ?? seq;
    const newer = await client.query('select seq::text, at::text from holdfast.trail where at > $1 order by at', [at]);
    for (const row of newer.rows) seen.byTime.add(row.seq);
    at = newer.rows.at(-1)?.at ?? at;
  }

  const loop = (async () => {
    while (running) {
      await poll();
      await new Promise((resolve) => setTimeout(resolve, 20));
    }
    await poll();
  })();
  loop.catch(() => {}); // reported by stop()
  return {
    seen,
    async stop() {
      running = false;
      await loop;
    },
  };
}
