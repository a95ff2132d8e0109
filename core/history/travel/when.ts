/** Moments, restore points and the present, as cuts that the database can be asked with. */
import { formatMoment, parseMoment } from '../../moment.ts';
import type { Client } from '../../sql.ts';
import { advance } from '../advance.ts';
import { resolveCut } from '../cuts.ts';
import { atSql } from '../moments.ts';
import { findRestorePoint } from '../restorePoints.ts';
import { formatSnapshot } from '../snapshots.ts';
import type { Cut } from '../types.ts';
import { askOne } from './stream.ts';
import type { When } from './types.ts';

/**
 * @throws ConfigError HF_TIME_INVALID; RestoreError HF_TIME_FUTURE, HF_TIME_BEFORE_HISTORY, HF_TIME_INEXACT,
 * HF_RESTORE_POINT_UNKNOWN
 */
export async function cutAt(client: Client, when: When, tenant?: string): Promise<Cut> {
  if (when === 'now') {
    const { moment, snapshot } = await advance(client);
    return { moment, snapshot, extra: [] };
  }
  if ('moment' in when) return resolveCut(client, parseMoment(when.moment));
  return (await findRestorePoint(client, when.restorePoint, tenant ?? null)).cut;
}

/** Where history begins. */
export async function beginning(client: Client): Promise<Cut> {
  const first = await askOne(client, `select ${atSql('min(moment)')} from holdfast.horizons`);
  return resolveCut(client, parseMoment(first!));
}

/** A cut as a parameter of type holdfast.cut. */
export const cutText = ({ moment, snapshot, extra }: Cut): string =>
  `("${formatMoment(moment)}","${formatSnapshot(snapshot)}","{${extra.join(',')}}")`;
