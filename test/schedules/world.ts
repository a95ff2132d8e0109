/** A database with Holdfast in it, two tenants, and a clock that the test moves. */
import type pg from 'pg';
import { bind } from '../../core/datamap/bind.ts';
import type { DataMap } from '../../core/datamap/types.ts';
import { install } from '../../core/history/install.ts';
import { type TickReport, tick } from '../../core/schedules/tick.ts';
import { createDatabase, type TestDatabase } from '../support/database.ts';
import { Engine } from './engine.ts';

const MAP: DataMap = {
  tenants: { table: 'public.firms', key: 'id' },
  tables: [{ name: 'public.firms', tenant: { kind: 'column', column: 'id' }, columns: {}, erase: 'delete' }],
  excluded: [],
};

export interface World {
  readonly database: TestDatabase;
  readonly client: pg.Client;
  readonly engine: Engine;
  /** Moves the clock and looks at it. */
  at(time: string, options?: { concurrency?: number }): Promise<TickReport>;
  runs(): Promise<{ due: string; state: string; missed: number; late: boolean }[]>;
  logs(): Promise<{ tenant: string | null; step: string; result: string; detail: Record<string, unknown> }[]>;
}

export async function scheduleWorld(serverUrl?: string): Promise<World> {
  const database = await createDatabase(serverUrl === undefined ? {} : { serverUrl });
  const client = await database.client();
  await client.query(
    "create table public.firms (id text primary key); insert into public.firms values ('one'), ('two')",
  );
  await install(client, await bind(client, MAP));
  const engine = new Engine();
  return {
    database,
    client,
    engine,
    at: (time, { concurrency = 10 } = {}) => tick(client, engine, { now: Date.parse(time), concurrency }),
    async runs() {
      const { rows } = await client.query(
        `select to_char(due at time zone 'UTC', 'MM-DD HH24:MI') as due, state, missed, late_at is not null as late
           from holdfast.schedule_runs order by due, id`,
      );
      return rows;
    },
    async logs() {
      const { rows } = await client.query(
        "select tenant, step, result, detail from holdfast.tenant_backup_logs where step in ('schedule', 'scheduled-run') order by id",
      );
      return rows;
    },
  };
}
