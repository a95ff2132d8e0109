/** Makes a database out of a store and the keys, and nothing else: schema, rows, log, keys and indexes, history anew. */
import type { Context } from '../context.ts';
import { bind } from '../datamap/bind.ts';
import { didYouMean } from '../datamap/suggest.ts';
import type { BoundMap } from '../datamap/types.ts';
import { RestoreError } from '../errors.ts';
import { install } from '../history/install.ts';
import { formatMoment, type Moment, parseMoment } from '../moment.ts';
import { readManifest } from '../snapshot/manifest.ts';
import { SHARED } from '../snapshot/types.ts';
import { type Client, connect } from '../sql.ts';
import { buildDatabase } from './build.ts';
import type { Chain } from './chain.ts';
import { markRestoring, requireEmpty, unmark } from './emptyTarget.ts';
import { storeChain } from './storePlan.ts';

export interface DatabaseRestore {
  /** An empty database. */
  readonly targetUrl: string;
  /** @default the latest moment that the store reaches */
  readonly moment?: Moment;
  /** As at the end of this backup. */
  readonly backup?: string;
  /** Only this tenant, with the shared tables. @default everything */
  readonly tenant?: string;
  /** Connections that load and build at once. @default 2 */
  readonly connections?: number;
}

export interface DatabaseRestoreResult {
  readonly moment: string;
  readonly tenant: string | null;
  /** Backups that were read, base first. */
  readonly backups: readonly string[];
  readonly tables: number;
  /** Rows that stand in the database now. */
  readonly rows: number;
  /** Changes of the log that were carried over the base. */
  readonly changes: number;
  /** Rows that were left out because the person who owned them is erased. */
  readonly erased: number;
  /** Rights, roles and the like that this server does not have. */
  readonly notes: readonly string[];
  readonly seconds: number;
}

/**
 * @throws DatabaseError HF_TARGET_NOT_EMPTY; RestoreError HF_NO_BACKUP, HF_TENANT_UNKNOWN, HF_TIME_UNREACHABLE; whatever the store and the keys
 * throw. A restore that stops half way leaves a database that is marked as incomplete and refuses to be written.
 */
export async function restoreDatabase(ctx: Context, request: DatabaseRestore): Promise<DatabaseRestoreResult> {
  const began = performance.now();
  const tenant = request.tenant ?? null;
  const named = request.backup ? await readManifest(ctx, request.backup) : undefined;
  const moment = named ? parseMoment(named.horizon) : request.moment;
  const chain = await storeChain(ctx, tenant, moment, named ? [named] : []);
  if (tenant !== null) requireTenant(chain, tenant, ctx.store.description);
  const clients = await connectAll(request.targetUrl, request.connections ?? 2);
  try {
    const main = clients[0]!;
    await requireEmpty(main);
    const notes = await markRestoring(main, `restore of ${tenant ?? 'everything'} as of ${formatMoment(chain.moment)}`);
    const built = await buildDatabase(ctx, clients, chain, { tenant });
    notes.push(...built.notes);
    await install(main, await bindAll(main, ctx));
    await unmark(main);
    return { ...summary(chain, tenant), ...built, notes, seconds: (performance.now() - began) / 1000 };
  } finally {
    await Promise.all(clients.map((client) => client.end()));
  }
}

/** Without this, a mistyped tenant would make a database of shared tables that looks restored. */
export function requireTenant(chain: Chain, tenant: string, store: string): void {
  const known = new Set([chain.base, ...chain.logs].flatMap((manifest) => Object.keys(manifest.keys)));
  if (known.has(tenant)) return;
  known.delete(SHARED);
  throw new RestoreError('HF_TENANT_UNKNOWN', `There is nothing of tenant ${JSON.stringify(tenant)} in ${store}.`, {
    action: `Give a tenant that these backups hold: ${[...known].slice(0, 5).join(', ')}${known.size > 5 ? ', …' : ''}.${didYouMean(tenant, known)}`,
    details: { tenant, backups: chain.logs.map((m) => m.id) },
  });
}

const bindAll = (client: Client, ctx: Context): Promise<BoundMap> => bind(client, ctx.map);

const summary = (chain: Chain, tenant: string | null) => ({
  moment: formatMoment(chain.moment),
  tenant,
  backups: chain.logs.map((m) => m.id),
});

/** Sessions for bulk work: nothing they write counts before the last step. */
export async function connectAll(url: string, count: number): Promise<Client[]> {
  const clients: Client[] = [];
  for (let i = 0; i < count; i++) {
    const client = await connect(url, 'holdfast-restore');
    await client.query(
      `select set_config('default_transaction_read_only', 'off', false), set_config('synchronous_commit', 'off', false),
              set_config('maintenance_work_mem', '256MB', false), set_config('work_mem', '64MB', false)`,
    );
    clients.push(client);
  }
  return clients;
}
