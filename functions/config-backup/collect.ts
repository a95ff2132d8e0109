import { createHash } from 'node:crypto';
import * as z from 'zod';
import { logStep } from '../../core/catalog/record.ts';
import { formatMoment } from '../../core/moment.ts';
import { databaseOf } from '../../core/snapshot/backup.ts';
import { canonicalJson, signedBytes } from '../../core/snapshot/canonical.ts';
import { documentBytes, openStore } from '../../core/snapshot/store.ts';
import { type Client, connect } from '../../core/sql.ts';
import { execution } from '../backup/request.ts';
import { lambda, type TaskContext, task } from '../task.ts';

const FOLDER = 'config/';
const FORMAT = 'holdfast-config';

/** Keeps the configuration, signed, when it is not what was kept last: holdfast.yaml, schedules, holds, what is installed. */
export const work = task({
  input: z.object({ execution, request: z.strictObject({}) }),
  run: async (ctx, { execution }) => {
    const client = await connect(databaseOf(ctx), 'holdfast-config');
    try {
      const { id: store } = await openStore(ctx, { create: true });
      const content = { map: ctx.configuration, database: await readDatabase(client) };
      const sha256 = createHash('sha256').update(canonicalJson(content)).digest('hex');
      const last = await lastName(ctx);
      if (last?.endsWith(`-${sha256}.json`)) return { changed: false, name: last, sha256 };
      const at = formatMoment(ctx.clock.now());
      const unsigned = { format: FORMAT, version: 1, store, at, content };
      const name = `${FOLDER}${at.replace(/[-:.]/g, '')}-${sha256}.json`;
      await ctx.store.put(name, documentBytes({ ...unsigned, signature: await ctx.keys.sign(signedBytes(unsigned)) }));
      const line = { backup: null, tenant: null, step: 'config-backup', result: 'ok' } as const;
      await logStep(client, { ...line, detail: { execution, name } });
      return { changed: true, name, sha256 };
    } finally {
      await client.end();
    }
  },
});

async function lastName(ctx: TaskContext): Promise<string | undefined> {
  let last: string | undefined;
  for await (const { name } of ctx.store.list(FOLDER)) last = name;
  return last;
}

/** What people have set in the database, without what runs change. */
async function readDatabase(client: Client): Promise<Record<string, unknown>> {
  const { rows } = await client.query<{ content: Record<string, unknown> }>(
    `select jsonb_build_object(
       'server', current_setting('server_version_num'),
       'migrations', (select jsonb_agg(name order by name) from holdfast.migrations),
       'schedules', (select coalesce(jsonb_agg(to_jsonb(s) - '{last_run_at,next_run_at,planned_to,placed_revision,created_at}'::text[] order by s.id), '[]')
                       from holdfast.tenant_backup_schedules s),
       'holds', (select coalesce(jsonb_agg(id order by id), '[]') from holdfast.tenant_backups where legal_hold)) as content`,
  );
  return rows[0]!.content;
}

export const handler = lambda(work);
