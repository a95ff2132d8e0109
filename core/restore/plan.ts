/** Where a restore takes its state from, decided and checked before anything runs. */
import type { Context } from '../context.ts';
import { HoldfastError, isCode, RestoreError } from '../errors.ts';
import { resolveCut } from '../history/cuts.ts';
import { findRestorePoint, type RestorePoint } from '../history/restorePoints.ts';
import { protectedTables } from '../history/tables.ts';
import type { Cut } from '../history/types.ts';
import { formatMoment, type Moment, parseMoment } from '../moment.ts';
import { readManifest } from '../snapshot/manifest.ts';
import type { Manifest } from '../snapshot/types.ts';
import type { Client } from '../sql.ts';
import type { Chain } from './chain.ts';
import { storeChain } from './storePlan.ts';

/** Where to go back to: exactly one of the three, or none for the latest that the store reaches. */
export interface Target {
  /** null: the whole database. */
  readonly tenant: string | null;
  readonly moment?: Moment;
  readonly restorePoint?: string;
  /** A backup id: the moment that it restores to. */
  readonly backup?: string;
  /** @default 'auto': the live table and the trail where they reach, else the store */
  readonly source?: 'auto' | 'live' | 'store';
}

export interface Plan {
  readonly source: 'live' | 'store';
  readonly moment: Moment;
  /** Live only. */
  readonly cut?: Cut;
  /** Store only. */
  readonly chain?: Chain;
}

/**
 * Decides between live and store and proves that the target can be reached. `client` is a connection to the live database,
 * outside a transaction; without one only the store is considered.
 * @throws RestoreError HF_TIME_UNREACHABLE with `details.nearest`, HF_TIME_FUTURE, HF_NO_BACKUP, HF_RESTORE_POINT_UNKNOWN
 */
export async function planRestore(ctx: Context, target: Target, client?: Client): Promise<Plan> {
  const { moment, point, manifest } = await resolveTarget(ctx, target, client);
  const source = target.source ?? 'auto';
  let reason: unknown;
  if (client && moment !== undefined && source !== 'store') {
    try {
      const cut = await liveCut(client, moment, point);
      return { source: 'live', moment, cut };
    } catch (error) {
      if (source === 'live' || !isBeforeHistory(error)) throw error;
      reason = error;
    }
  }
  try {
    const chain = await storeChain(ctx, target.tenant, moment, manifest ? [manifest] : []);
    return { source: 'store', moment: chain.moment, chain };
  } catch (error) {
    // Neither reaches it: the live database's answer is the one that the user can act on when there is no store at all.
    if (reason && error instanceof HoldfastError && NO_STORE.has(error.code)) throw reason;
    throw error;
  }
}

const NO_STORE = new Set(['HF_NO_BACKUP', 'HF_STORE_UNKNOWN']);

const isBeforeHistory = (error: unknown): boolean => isCode(error, 'HF_TIME_BEFORE_HISTORY');

/** The cut, once it is known that every table's history reaches back to it. A restore point brings its own. */
async function liveCut(client: Client, moment: Moment, point: RestorePoint | undefined): Promise<Cut> {
  const cut = point?.cut ?? (await resolveCut(client, moment));
  const late = (await protectedTables(client)).filter((t) => t.since > moment && t.droppedAt === null);
  if (late.length === 0) return cut;
  const since = late
    .map((t) => formatMoment(t.since))
    .sort()
    .at(-1)!;
  const names = late.map((t) => t.name).join(', ');
  throw new RestoreError(
    'HF_TIME_BEFORE_HISTORY',
    `The history of ${names} begins at ${since}, after ${formatMoment(moment)}.`,
    {
      action: 'Choose a later moment, or restore from a backup that reaches back to it.',
      details: { target: formatMoment(moment), nearest: since, tables: late.map((t) => t.name) },
    },
  );
}

async function resolveTarget(
  ctx: Context,
  target: Target,
  client?: Client,
): Promise<{ moment?: Moment; point?: RestorePoint; manifest?: Manifest }> {
  const named = [target.moment, target.restorePoint, target.backup].filter((t) => t !== undefined);
  if (named.length > 1) {
    throw new RestoreError('HF_TARGET_AMBIGUOUS', 'More than one target was given.', {
      action: 'Give a time, a restore point or a backup.',
    });
  }
  if (target.moment !== undefined) return { moment: target.moment };
  if (target.backup !== undefined) {
    const manifest = await readManifest(ctx, target.backup);
    return { moment: parseMoment(manifest.horizon), manifest };
  }
  if (target.restorePoint === undefined) return {};
  if (!client) {
    throw new RestoreError(
      'HF_RESTORE_POINT_UNKNOWN',
      'Restore points are kept in the database, and none is connected.',
      {
        action: 'Give the time of the restore point instead.',
      },
    );
  }
  const point = await findRestorePoint(client, target.restorePoint, target.tenant);
  return { moment: point.cut.moment, point };
}
