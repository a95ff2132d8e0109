/** How much was changed when, in buckets of time: for a chart. */
import { formatMoment } from '../../moment.ts';
import type { Client } from '../../sql.ts';
import { atSql } from '../moments.ts';
import { ask, askOne } from './stream.ts';
import { findSubject, requireTenant } from './subject.ts';
import type { Bucket, When } from './types.ts';
import { beginning, cutAt, cutText } from './when.ts';

export interface TimelineQuery {
  /** Anything PostgreSQL reads as an interval: `15 minutes`, `1 day`, `1 week`, `1 month`. At most 10,000 buckets. */
  readonly bucket: string;
  /** @default where history begins */
  readonly from?: When;
  /** @default 'now' */
  readonly to?: When;
  readonly tenant?: string;
  readonly table?: string;
  readonly user?: string;
  /** Where days, weeks and months begin. @default 'UTC' */
  readonly zone?: string;
}

export interface Timeline {
  readonly from: string;
  readonly to: string;
  /** Oldest first, empty ones included. */
  readonly buckets: readonly Bucket[];
}

/**
 * Counts changes by when they were committed.
 * @throws ConfigError HF_ARGUMENT_INVALID, HF_TABLE_UNKNOWN, HF_NOT_PROTECTED; RestoreError HF_TIME_…, HF_TENANT_UNKNOWN
 */
export async function timeline(client: Client, query: TimelineQuery): Promise<Timeline> {
  const subject = query.table === undefined ? undefined : await findSubject(client, query.table);
  const low = query.from ? await cutAt(client, query.from, query.tenant) : await beginning(client);
  const high = await cutAt(client, query.to ?? 'now', query.tenant);
  await requireTenant(client, query.tenant);
  const sql = await askOne(client, 'select holdfast.timeline_sql(holdfast.width($1), $2, $3, $4, $5, $6, $7)', [
    query.bucket,
    cutText(low),
    cutText(high),
    query.tenant ?? null,
    subject?.id ?? null,
    query.user ?? null,
    query.zone ?? 'UTC',
  ]);
  const { rows } = await ask(
    client,
    `select ${atSql('b.bucket')}, b.inserts, b.updates, b.deletes, b.transactions, b.users from (${sql}) b order by b.bucket`,
  );
  return {
    from: formatMoment(low.moment),
    to: formatMoment(high.moment),
    buckets: rows.map(([begins, ...counts]) => {
      const [inserts, updates, deletes, transactions, users] = counts.map(Number);
      return {
        begins: begins!,
        inserts: inserts!,
        updates: updates!,
        deletes: deletes!,
        transactions: transactions!,
        users: users!,
      };
    }),
  };
}
