/** What the database says that matters for the choice of base. */
import type pg from 'pg';
import type { BoundMap } from '../datamap/types.ts';
import type { BaseFacts } from './base.ts';

export interface DatabaseFacts extends Pick<BaseFacts, 'epoch' | 'current' | 'tables'> {
  readonly server: { readonly version: number; readonly database: string };
  readonly backups: ReadonlySet<string>;
}

export async function readFacts(
  client: pg.Client,
  bound: BoundMap,
  tables: readonly string[],
  tenant: string | null,
): Promise<DatabaseFacts> {
  const { rows } = await client.query<{
    epoch: string;
    current: string;
    version: number;
    database: string;
    ids: string[];
  }>(
    `select i.epoch::text, pg_current_snapshot()::text as current, current_database() as database,
            current_setting('server_version_num')::int as version,
            array(select id from holdfast.tenant_backups where tenant is not distinct from $1) as ids
       from holdfast.installation i`,
    [tenant],
  );
  const { epoch, current, version, database, ids } = rows[0]!;
  const versions = await client.query<{ id: number; version: number; barriers: { version: number; what: string }[] }>(
    `select table_id as id, max(version) as version,
            coalesce(jsonb_agg(jsonb_build_object('version', version, 'what', barrier)) filter (where barrier is not null), '[]') as barriers
       from holdfast.table_versions group by table_id`,
  );
  const byId = new Map(versions.rows.map((row) => [row.id, row]));
  const selected = bound.tables.filter((t) => tables.includes(t.name));
  return {
    epoch,
    current,
    server: { version, database },
    backups: new Set(ids),
    tables: selected.map(({ name, id }) => ({
      name,
      id,
      version: byId.get(id)?.version ?? 1,
      barriers: byId.get(id)?.barriers ?? [],
    })),
  };
}
