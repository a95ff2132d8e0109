/**
 * Maintenance of one tenant: while it lasts, the database refuses the application's writes to that tenant's rows (SQLSTATE
 * HF003). Other tenants are not held up, no table is locked, and nothing is paid while no tenant is in maintenance.
 */
import { setTimeout as sleep } from 'node:timers/promises';
import { logStep } from '../../catalog/record.ts';
import { DatabaseError } from '../../errors.ts';
import { atSql } from '../../history/moments.ts';
import { type Client, transaction } from '../../sql.ts';

export interface Maintenance {
  readonly tenant: string;
  readonly reason: string;
  readonly startedBy: string;
  /** ISO 8601. */
  readonly startedAt: string;
  /** When it ends by itself. */
  readonly until: string;
  /** The restore request that it is for; null when somebody turned it on. */
  readonly request: string | null;
}

export interface BegunMaintenance extends Maintenance {
  /** Transactions that had begun to write before, to whatever tenant, and were not over after `wait`. */
  readonly stillOpen: number;
}

/**
 * Turns it on and waits for transactions that were already writing.
 * @param options.seconds after which it ends by itself
 * @param options.wait how long to wait for writers, in milliseconds. @default 10000
 * @throws DatabaseError HF_MAINTENANCE_ON
 */
export async function beginMaintenance(
  client: Client,
  options: {
    readonly tenant: string;
    readonly by: string;
    readonly reason: string;
    readonly seconds: number;
    readonly request?: string;
    readonly wait?: number;
  },
): Promise<BegunMaintenance> {
  const { tenant, by, reason, seconds, request } = options;
  const made = await transaction(client, '', async () => {
    await oneAtATime(client);
    await client.query('delete from holdfast.maintenance where until <= clock_timestamp()');
    const { rows } = await client.query(
      `insert into holdfast.maintenance (tenant, reason, started_by, until, request)
       values ($1, $2, $3, clock_timestamp() + make_interval(secs => $4), $5) on conflict do nothing returning ${COLUMNS}`,
      [tenant, reason, by, seconds, request ?? null],
    );
    if (!rows[0]) throw alreadyOn((await listMaintenance(client, tenant))[0]!);
    await client.query('select holdfast.fence_maintenance()');
    const detail = { state: 'on', by, reason, until: rows[0].until, request };
    await logStep(client, { backup: null, tenant, step: 'maintenance', result: 'started', detail });
    return rows[0] as Maintenance;
  });
  return { ...made, stillOpen: await outlast(client, options.wait ?? 10_000) };
}

/** Moves the end of a lease; false when it is no longer there to be renewed. */
export async function renewMaintenance(client: Client, tenant: string, seconds: number): Promise<boolean> {
  const { rowCount } = await client.query(
    'update holdfast.maintenance set until = clock_timestamp() + make_interval(secs => $2) where tenant = $1',
    [tenant, seconds],
  );
  return rowCount === 1;
}

/** Returns whether it was on. */
export async function endMaintenance(client: Client, tenant: string, by: string): Promise<boolean> {
  return transaction(client, '', async () => {
    await oneAtATime(client);
    const { rowCount } = await client.query('delete from holdfast.maintenance where tenant = $1', [tenant]);
    if (rowCount === 0) return false;
    await client.query('select holdfast.fence_maintenance()');
    await logStep(client, {
      backup: null,
      tenant,
      step: 'maintenance',
      result: 'ok',
      detail: { state: 'off', by },
    });
    return true;
  });
}

/** Takes the check out of the capture functions once a lease has run out. Returns the tenants it was for. */
export async function sweepMaintenance(client: Client): Promise<string[]> {
  const over = await client.query('select from holdfast.maintenance where until <= clock_timestamp()');
  if (over.rowCount === 0) return [];
  return transaction(client, '', async () => {
    await oneAtATime(client);
    const { rows } = await client.query(
      'delete from holdfast.maintenance where until <= clock_timestamp() returning tenant',
    );
    await client.query('select holdfast.fence_maintenance()');
    for (const { tenant } of rows) {
      const detail = { state: 'ran out' };
      await logStep(client, { backup: null, tenant, step: 'maintenance', result: 'ok', detail });
    }
    return rows.map((row) => row.tenant as string);
  });
}

/** Tenants in maintenance, or the one named. */
export async function listMaintenance(client: Client, tenant?: string): Promise<Maintenance[]> {
  const { rows } = await client.query(
    `select ${COLUMNS} from holdfast.maintenance
      where until > clock_timestamp() and ($1::text is null or tenant = $1) order by tenant`,
    [tenant ?? null],
  );
  return rows;
}

const COLUMNS = `tenant, reason, started_by as "startedBy", ${atSql('started_at')} as "startedAt", ${atSql('until')} as until,
  request::text`;

/** Functions are replaced; two sessions that replace the same one at once would fail. */
const oneAtATime = (client: Client) =>
  client.query("select pg_advisory_xact_lock(hashtextextended('holdfast.maintenance', 0))");

/**
 * A transaction that holds a table for writing goes on with the function that it began with. Those that were there when the
 * maintenance began are waited for; those that come later run the new one.
 */
async function outlast(client: Client, wait: number): Promise<number> {
  const writers = async (): Promise<string[]> => {
    const { rows } = await client.query(
      `select distinct l.virtualtransaction as id from pg_locks l
        where l.locktype = 'relation' and l.granted and l.pid <> pg_backend_pid()
          and l.database = (select oid from pg_database where datname = current_database())
          and l.mode in ('RowExclusiveLock', 'ShareRowExclusiveLock', 'ExclusiveLock', 'AccessExclusiveLock')
          and l.relation in (select t.oid from holdfast.tables t where t.dropped_at is null
                             union all select unnest(t.leaves) from holdfast.tables t where t.dropped_at is null)`,
    );
    return rows.map((row) => row.id as string);
  };
  const deadline = performance.now() + wait;
  let open = await writers();
  while (open.length > 0 && performance.now() < deadline) {
    await sleep(50);
    const now = await writers();
    open = open.filter((id) => now.includes(id));
  }
  return open.length;
}

const alreadyOn = (m: Maintenance) =>
  new DatabaseError('HF_MAINTENANCE_ON', `Tenant ${m.tenant} is in maintenance already, since ${m.startedAt}.`, {
    action: `It ends at ${m.until}. End it before with: holdfast maintenance off.`,
    details: { ...m },
  });
