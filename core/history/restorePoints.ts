/** Named moments. A point keeps its own snapshot, so it is exact whatever the server knows of commit times. */
import { RestoreError } from '../errors.ts';
import { type Moment, parseMoment } from '../moment.ts';
import type { Client } from '../sql.ts';
import { atSql } from './moments.ts';
import { parseSnapshot } from './snapshots.ts';
import type { Cut } from './types.ts';

export interface RestorePoint {
  readonly name: string;
  /** null: the whole database. */
  readonly tenant: string | null;
  /** ISO 8601, microseconds. */
  readonly moment: string;
  readonly reason: string | null;
  readonly cut: Cut;
}

/** @throws RestoreError HF_RESTORE_POINT_EXISTS when the tenant (or the database) has one of that name */
export async function createRestorePoint(
  client: Client,
  point: { readonly name: string; readonly tenant: string | null; readonly reason?: string },
): Promise<RestorePoint> {
  // One statement: the horizon may be stretched by another session as soon as this one lets go of it.
  const { rows } = await client.query(
    `insert into holdfast.tenant_restore_points (name, tenant, moment, snapshot, reason)
     select $1, $2, h.until, h.snapshot, $3 from holdfast.advance() h
     on conflict do nothing returning ${COLUMNS}`,
    [point.name, point.tenant, point.reason ?? null],
  );
  if (rows[0]) return toPoint(rows[0]);
  throw new RestoreError('HF_RESTORE_POINT_EXISTS', `There is already a restore point named "${point.name}".`, {
    action: 'Choose another name.',
    details: { name: point.name, tenant: point.tenant },
  });
}

/** The tenant's point of that name, else the whole database's. @throws RestoreError HF_RESTORE_POINT_UNKNOWN */
export async function findRestorePoint(client: Client, name: string, tenant: string | null): Promise<RestorePoint> {
  const { rows } = await client.query(
    `select ${COLUMNS} from holdfast.tenant_restore_points
      where name = $1 and (tenant is null or tenant = $2) order by tenant nulls last limit 1`,
    [name, tenant],
  );
  if (rows[0]) return toPoint(rows[0]);
  throw new RestoreError('HF_RESTORE_POINT_UNKNOWN', `There is no restore point named "${name}".`, {
    action: 'See holdfast restore-point list.',
    details: { name, tenant },
  });
}

/** Newest first; of a tenant with those of the whole database, or of everyone. */
export async function listRestorePoints(client: Client, tenant?: string): Promise<RestorePoint[]> {
  const { rows } = await client.query(
    `select ${COLUMNS} from holdfast.tenant_restore_points
      where $1::text is null or tenant is null or tenant = $1 order by moment desc`,
    [tenant ?? null],
  );
  return rows.map(toPoint);
}

const COLUMNS = `name, tenant, ${atSql('moment')} as moment, snapshot::text, reason`;

// biome-ignore lint/suspicious/noExplicitAny: node-postgres rows
function toPoint(row: any): RestorePoint {
  const moment: Moment = parseMoment(row.moment);
  return Object.freeze({
    name: row.name,
    tenant: row.tenant,
    moment: row.moment,
    reason: row.reason,
    cut: { moment, snapshot: parseSnapshot(row.snapshot), extra: [] },
  });
}
