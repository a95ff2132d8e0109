/** Changes of the trail as they are shown: with commit time, actor, and old and new of each column. */
import { atSql } from '../moments.ts';
import type { Text } from '../types.ts';
import type { ChangeRead, FieldChange, Moved, Value } from './types.ts';

/** Select list over what holdfast.changes_sql gives, alias h. */
export const CHANGE_COLUMNS = `h.place, h.seq, ${atSql('h.at')}, ${atSql('h.committed_at')}, h.table_name, h.record, h.action, h.organization,
  h.user_id, h.user_email, h.session_id, host(h.ip_address), h.user_agent, h.changes, h.metadata`;

export interface ChangeRow {
  readonly change: ChangeRead;
  /** Orders the changes of a record. */
  readonly place: string;
  /** When it was written, which is before it was committed. */
  readonly at: string;
}

export function readChange(row: readonly Text[]): ChangeRow {
  const [
    place,
    seq,
    at,
    committedAt,
    table,
    record,
    action,
    tenant,
    userId,
    email,
    sessionId,
    ip,
    userAgent,
    changes,
    metadata,
  ] = row as [string, string, string, ...Text[]];
  const notes = metadata ? (JSON.parse(metadata) as { moved?: boolean; from?: Moved; to?: Moved }) : {};
  return {
    place,
    at,
    change: {
      seq,
      committedAt: committedAt!,
      table: table!,
      record: record!,
      action: action as ChangeRead['action'],
      tenant: tenant!,
      who: { userId: userId!, email: email!, sessionId: sessionId!, ip: ip!, userAgent: userAgent! },
      fields: fieldsOf(action as ChangeRead['action'], changes ? JSON.parse(changes) : {}),
      moved: notes.moved ? { ...(notes.from && { from: notes.from }), ...(notes.to && { to: notes.to }) } : null,
    },
  };
}

function fieldsOf(action: ChangeRead['action'], changes: Record<string, Value | [Text, Text]>): FieldChange[] {
  return Object.entries(changes).map(([column, value]) => {
    if (Array.isArray(value)) return { column, old: value[0], new: value[1] };
    return { column, old: action === 'insert' ? null : value, new: action === 'delete' ? null : value };
  });
}
