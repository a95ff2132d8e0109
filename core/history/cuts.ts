import { RestoreError } from '../errors.ts';
import { formatMoment, type Moment, parseMoment } from '../moment.ts';
import type { Client } from '../sql.ts';
import { advance } from './advance.ts';
import { atSql } from './moments.ts';
import { parseSnapshot } from './snapshots.ts';
import type { Cut } from './types.ts';

interface Found {
  readonly now: string;
  readonly last: string | null;
  readonly until: string | null;
  readonly snapshot: string | null;
  readonly next: string | null;
  readonly exact: boolean | null;
  readonly extra: string[] | null;
}

/**
 * What had committed by `moment`: the last horizon at or before it, and of the transactions between that one and the next
 * those that had committed by then. The same moment gives the same cut for ever.
 * @throws RestoreError HF_TIME_FUTURE, HF_TIME_BEFORE_HISTORY, HF_TIME_INEXACT (the server kept no commit times around that
 * moment); `details.nearest` is the nearest moment that can be asked
 */
export async function resolveCut(client: Client, moment: Moment): Promise<Cut> {
  const text = formatMoment(moment);
  let found = await find(client, text);
  if (moment > parseMoment(found.now)) {
    throw new RestoreError('HF_TIME_FUTURE', `${text} is in the future; the database's clock says ${found.now}.`, {
      action: 'Choose a moment that has passed.',
      details: { got: text, nearest: found.now },
    });
  }
  if (found.last === null || parseMoment(found.last) < moment) {
    await advance(client);
    found = await find(client, text);
  }
  if (found.until === null) throw await beforeHistory(client, text);
  const snapshot = parseSnapshot(found.snapshot!);
  if (moment <= parseMoment(found.until)) return Object.freeze({ moment, snapshot, extra: [] });

  if (found.next === null) throw await stale(client, text); // the horizons that this transaction sees end before the moment
  if (!found.exact) {
    throw new RestoreError('HF_TIME_INEXACT', `The server kept no commit times around ${text}.`, {
      action: `Choose ${found.until} or ${found.next}, which are exact. Set track_commit_timestamp = on for the future.`,
      details: { got: text, nearest: found.until, before: found.until, after: found.next },
    });
  }
  return Object.freeze({ moment, snapshot, extra: found.extra!.map(BigInt) });
}

/** The last horizon at or before the moment, the one that follows, and the last of all: in one statement, many ask for it. */
async function find(client: Client, text: string): Promise<Found> {
  const { rows } = await client.query(
    `select ${atSql('clock_timestamp()')} as now,
            (select ${atSql('l.until')} from holdfast.horizons l order by l.id desc limit 1) as last,
            ${atSql('b.until')} as until, b.snapshot::text, ${atSql('n.moment')} as next, n.exact,
            case when b.until < $1 then array(
              select x.xid::text from unnest(n.xids, n.committed) with ordinality x(xid, at, n) where x.at <= $1 order by x.n) end as extra
       from (select) one
       left join lateral (select h.* from holdfast.horizons h where h.moment <= $1 order by h.moment desc, h.id desc limit 1) b on true
       left join lateral (select h.* from holdfast.horizons h where h.moment > $1 order by h.moment, h.id limit 1) n on true`,
    [text],
  );
  return rows[0];
}

async function beforeHistory(client: Client, text: string): Promise<RestoreError> {
  const { rows } = await client.query(`select ${atSql('min(moment)')} as first from holdfast.horizons`);
  const first = rows[0]?.first as string | null;
  return new RestoreError('HF_TIME_BEFORE_HISTORY', `The history in this database begins at ${first}, after ${text}.`, {
    action: 'Choose a later moment, or restore from a backup that reaches back to it.',
    details: { got: text, nearest: first },
  });
}

async function stale(client: Client, text: string): Promise<RestoreError> {
  const { rows } = await client.query(`select ${atSql('max(until)')} as last from holdfast.horizons`);
  return new RestoreError(
    'HF_TIME_INEXACT',
    `This transaction began before ${text} and cannot see what committed by then.`,
    {
      action: 'Resolve the moment before the transaction begins, or in READ COMMITTED.',
      details: { got: text, nearest: rows[0]?.last },
    },
  );
}
