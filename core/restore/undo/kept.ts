/** What an undo leaves behind besides its rows: a restore point before it, and a line in the log. In its own transaction. */
import { type Client, literal } from '../../sql.ts';
import { batch } from '../batch.ts';
import type { UndoResult } from './types.ts';

export interface Kept {
  readonly restorePoint: string;
  readonly xid: string;
}

/** Of a preview, and where nothing had to be done. */
export const NOTHING = { restorePoint: null, xid: null };

/**
 * The point holds the snapshot that the undo worked on, so going back to it gives exactly what the undo found. `after`: a
 * statement to send along.
 */
export async function keep(client: Client, result: UndoResult, ...after: string[]): Promise<Kept> {
  const { scope, policy, fingerprint, tables, totals, conflictCount } = result;
  const tenant = literal(result.tenant);
  const detail = JSON.stringify({ scope, policy, fingerprint, tables, totals, conflictCount });
  const [kept] = await batch(client, [
    `with now as materialized (select clock_timestamp() as at), point as (
       insert into holdfast.tenant_restore_points (name, tenant, moment, snapshot, reason)
       select to_char(at at time zone 'UTC', '"before undo "YYYY-MM-DD"T"HH24:MI:SS.US"Z"'), ${tenant}, at,
              holdfast.settled_snapshot(), ${literal(`undo of ${scope.kind}`)} from now
       returning name
     ), log as (
       insert into holdfast.tenant_backup_logs (tenant, step, result, detail)
       values (${tenant}, 'undo', 'ok', ${literal(detail)}::jsonb || jsonb_build_object('xid', pg_current_xact_id()::text))
     )
     select name as "restorePoint", pg_current_xact_id()::text as xid from point`,
    ...after,
  ]);
  return kept!.rows[0] as Kept;
}
