/** What an undo leaves behind besides its rows: a restore point before it, and a line in the log. In its own transaction. */
import type { Client } from '../../sql.ts';
import type { UndoResult } from './types.ts';

export interface Kept {
  readonly restorePoint: string;
  readonly xid: string;
}

/** Of a preview, and where nothing had to be done. */
export const NOTHING = { restorePoint: null, xid: null };

/** The point holds the snapshot that the undo worked on, so going back to it gives exactly what the undo found. */
export async function keep(client: Client, result: UndoResult): Promise<Kept> {
  const { tenant, scope, policy, fingerprint, tables, totals, conflictCount } = result;
  const { rows } = await client.query(
    `with now as materialized (select clock_timestamp() as at), point as (
       insert into holdfast.tenant_restore_points (name, tenant, moment, snapshot, reason)
       select to_char(at at time zone 'UTC', '"before undo "YYYY-MM-DD"T"HH24:MI:SS.US"Z"'), $1, at, holdfast.settled_snapshot(), $2 from now
       returning name
     ), log as (
       insert into holdfast.tenant_backup_logs (tenant, step, result, detail)
       select $1, 'undo', 'ok', $3::jsonb || jsonb_build_object('xid', pg_current_xact_id()::text) from now
     )
     select name as "restorePoint", pg_current_xact_id()::text as xid from point`,
    [tenant, `undo of ${scope.kind}`, JSON.stringify({ scope, policy, fingerprint, tables, totals, conflictCount })],
  );
  return rows[0] as Kept;
}
