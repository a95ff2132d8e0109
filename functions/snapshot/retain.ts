import * as z from 'zod';
import { lambda, task } from '../task.ts';
import { kind, snapshot } from './names.ts';

const DAY_MS = 86_400_000;

/**
 * Snapshots that are older than their time go, in both regions. They hold every person's data under one key, which no erasure can
 * reach, so their time is short. The one that was just made stays, whatever its age.
 */
export const work = task({
  input: z.object({ kind, database: z.string().min(1), keep: snapshot }),
  run: async (ctx, { kind, database, keep }) => {
    const before = Number(ctx.clock.now() / 1000n) - ctx.snapshotDays * DAY_MS;
    const all = await ctx.snapshots.list(kind, database);
    const old = all.filter(({ id, createdAt }) => id !== keep && createdAt && Date.parse(createdAt) < before);
    for (const one of old) await ctx.snapshots.remove(kind, one);
    return { kept: all.length - old.length, removed: old.length };
  },
});

export const handler = lambda(work);
