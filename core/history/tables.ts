/** What Holdfast has recorded about each protected table. */
import { type Moment, parseMoment } from '../moment.ts';
import type { Client } from '../sql.ts';
import { atSql } from './moments.ts';

export interface ProtectedTable {
  readonly id: number;
  readonly name: string;
  /** Its history is whole from here on; nothing earlier can be asked of it. */
  readonly since: Moment;
  readonly droppedAt: Moment | null;
}

export async function protectedTables(client: Client): Promise<ProtectedTable[]> {
  const { rows } = await client.query(
    `select id, name, ${atSql('protected_at')} as since, ${atSql('dropped_at')} as dropped from holdfast.tables order by id`,
  );
  return rows.map((row) => ({
    id: row.id,
    name: row.name,
    since: parseMoment(row.since),
    droppedAt: row.dropped === null ? null : parseMoment(row.dropped),
  }));
}
