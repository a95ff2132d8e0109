import { RestoreError } from '../errors.ts';
import { formatMoment, type Moment, parseMoment } from '../moment.ts';
import type { Client } from '../sql.ts';
import { advance } from './advance.ts';
import { atSql } from './moments.ts';
import { parseSnapshot } from './snapshots.ts';
import type { Cut } from './types.ts';

interface Row {
  readonly moment: string;
  readonly until: string;
  readonly snapshot: string;
}

/**
 * What had committed by `moment`: the last horizon at or before it, and of the transactions between that one and the next
 * those that had committed by then. The same moment gives the same cut for ever.
 * @throws RestoreError HF_TIME_FUTURE, HF_TIME_BEFORE_HISTORY, HF_TIME_INEXACT (the server kept no commit times around that
 * moment); `details.nearest` is the nearest moment that can be asked
 */
export async function resolveCut(client: Client, moment: Moment): Promise<Cut> {
  const text = formatMoment(moment);
  const now = (await client.query(`select ${atSql('clock_timestamp()')} as now`)).rows[0].now as string;
  if (moment > parseMoment(now)) {
    throw new RestoreError('HF_TIME_FUTURE', `${text} is in the future; the database's clock says ${now}.`, {
      action: 'Choose a moment that has passed.',
      details: { got: text, nearest: now },
    });
  }
  if ((await lastUntil(client)) < moment) await advance(client);

  const base = await oneRow(client, 'moment <= $1 order by moment desc, id desc limit 1', text);
  if (!base) throw await beforeHistory(client, text);
  const snapshot = parseSnapshot(base.snapshot);
  if (moment <= parseMoment(base.until)) return Object.freeze({ moment, snapshot, extra: [] });

  const { rows } = await client.query(
    `select h.exact, ${atSql('h.moment')} as moment,
            coalesce((select array_agg(x.xid::text order by x.n) from unnest(h.xids, h.committed) with ordinality x(xid, at, n)
                       where x.at <= $1), '{}') as extra
       from holdfast.horizons h where h.moment > $1 order by h.moment, h.id limit 1`,
    [text],
  );
  const next = rows[0];
  if (!next) throw await stale(client, text); // the horizons that this transaction sees end before the moment
  if (!next.exact) {
    throw new RestoreError('HF_TIME_INEXACT', `The server kept no commit times around ${text}.`, {
      action: `Choose ${base.until} or ${next.moment}, which are exact. Set track_commit_timestamp = on for the future.`,
      details: { got: text, nearest: base.until, before: base.until, after: next.moment },
    });
  }
  return Object.freeze({ moment, snapshot, extra: (next.extra as string[]).map(BigInt) });
}

async function oneRow(client: Client, condition: string, text: string): Promise<Row | undefined> {
  const { rows } = await client.query(
    `select ${atSql('h.moment')} as moment, ${atSql('h.until')} as until, h.snapshot::text
       from holdfast.horizons h where ${condition}`,
    [text],
  );
  return rows[0];
}

async function lastUntil(client: Client): Promise<Moment> {
  const { rows } = await client.query(
    `select ${atSql('until')} as until from holdfast.horizons order by id desc limit 1`,
  );
  return rows[0] ? parseMoment(rows[0].until) : -1n;
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
