/**
 * Removes what retention gives up. Order, so that a kill at any point harms nothing: manifests go newest first, so no backup
 * is ever listed without the ones it needs; a backup's manifest goes before its objects, so no manifest is ever there without
 * them; objects whose manifest is gone are leftovers, which the next run finds and removes.
 */
import type pg from 'pg';
import { logStep } from '../catalog/record.ts';
import type { Context } from '../context.ts';
import { HoldfastError, type HoldfastError as Refusal } from '../errors.ts';
import { formatMoment } from '../moment.ts';
import { connect } from '../sql.ts';
import { holdsInStore } from './legalHold.ts';
import { listManifests, readManifest } from './manifest.ts';
import { proofFolder } from './proofs.ts';
import {
  applyRetention,
  GRANDFATHER_FATHER_SON,
  lastDays,
  type RetainedBackup,
  type RetentionPolicy,
} from './retention.ts';
import { backupFolder, manifestName, openStore } from './store.ts';
import type { Manifest } from './types.ts';

export interface CleanupOptions {
  /** Only this tenant's own backups. @default all, those of the whole database included */
  readonly tenant?: string;
  /** @default 7 daily, 4 weekly, 12 monthly */
  readonly policy?: RetentionPolicy;
  /** Instead of a policy: everything of the last so many days stays. */
  readonly retentionDays?: number;
  /** Only say what would be removed. */
  readonly preview?: boolean;
  /** Leftovers of killed runs younger than this stay, because the run may still go on. @default 48 */
  readonly graceHours?: number;
  /** Asked before each backup is removed; true leaves the rest for another call. @default never */
  readonly stop?: () => boolean;
}

export interface CleanupReport {
  /** false: `stop` ended it, and there is more to remove. */
  readonly done: boolean;
  readonly keep: readonly { readonly id: string; readonly reasons: readonly string[] }[];
  readonly remove: readonly {
    readonly id: string;
    readonly tenant: string | null;
    readonly reason: string;
    readonly bytes: number;
  }[];
  /** Objects without a manifest, of runs that were killed. */
  readonly leftovers: readonly { readonly id: string; readonly objects: number; readonly bytes: number }[];
  /** Backups that the store would not let go. */
  readonly refused: readonly { readonly id: string; readonly code: string; readonly message: string }[];
  /** Manifests that cannot be read; they and their objects stay. */
  readonly damaged: readonly { readonly object: string; readonly code: string }[];
}

/** @throws StoreError HF_STORE_UNKNOWN; a backup that is locked is reported, not thrown */
export async function cleanup(ctx: Context, options: CleanupOptions = {}): Promise<CleanupReport> {
  const client = ctx.databaseUrl === undefined ? undefined : await connect(ctx.databaseUrl, 'holdfast-cleanup');
  try {
    return await run(ctx, client, options);
  } finally {
    await client?.end();
  }
}

async function run(ctx: Context, client: pg.Client | undefined, options: CleanupOptions): Promise<CleanupReport> {
  const storeId = (await openStore(ctx)).id;
  const { manifests, damaged } = await readAll(ctx, storeId, options.tenant);
  const held = new Set([...(await holdsInStore(ctx.store)), ...(await holdsInCatalog(client))]);
  const now = ctx.clock.now();
  const policy =
    options.retentionDays === undefined ? (options.policy ?? GRANDFATHER_FATHER_SON) : lastDays(options.retentionDays);
  const facts = manifests.map((manifest) => retained(manifest, held));
  const decided = applyRetention(facts, policy, formatMoment(now));
  const byId = new Map(manifests.map((m) => [m.id, m]));
  const remove = decided.remove.map(({ id, reason }) => {
    const { tenant, totals } = byId.get(id)!;
    return { id, tenant, reason, bytes: totals.bytes };
  });
  const leftovers = options.tenant === undefined ? await findLeftovers(ctx, client, now, options.graceHours ?? 48) : [];
  const refused: CleanupReport['refused'][number][] = [];
  let done = true;
  if (!options.preview) {
    const stuck = new Set<string>();
    for (const { id, tenant } of remove) {
      if (options.stop?.()) {
        done = false;
        break;
      }
      // What a backup that would not go stands on must stay with it.
      if (stuck.has(id)) continue;
      try {
        await removeBackup(ctx, client, byId.get(id)!);
      } catch (error) {
        if (!(error instanceof HoldfastError) || error.code !== 'HF_STORE_DENIED') throw error;
        refused.push({ id, code: error.code, message: (error as Refusal).message });
        for (const needed of ancestors(byId, id)) stuck.add(needed);
      }
      if (client)
        await logStep(client, {
          backup: id,
          tenant,
          step: 'cleanup',
          result: refused.at(-1)?.id === id ? 'refused' : 'ok',
        });
    }
    if (done) for (const { id } of leftovers) await removeLeftovers(ctx, id);
    await expireMissing(ctx, client);
  }
  return { done, keep: decided.keep, remove, leftovers, refused, damaged };
}

const retained = (manifest: Manifest, held: ReadonlySet<string>): RetainedBackup => ({
  id: manifest.id,
  tenant: manifest.tenant,
  type: manifest.type,
  parent: manifest.parent,
  horizon: manifest.horizon,
  logFrom: manifest.log.fromMoment,
  ...(manifest.consistentFrom === undefined ? {} : { consistentFrom: manifest.consistentFrom }),
  legalHold: held.has(manifest.id),
});

function* ancestors(byId: ReadonlyMap<string, Manifest>, id: string): Generator<string> {
  for (let at = byId.get(id); at && at.type !== 'full' && at.parent !== null; at = byId.get(at.parent)) yield at.parent;
}

async function readAll(ctx: Context, storeId: string, tenant: string | undefined) {
  const manifests: Manifest[] = [];
  const damaged: { object: string; code: string }[] = [];
  for (const ref of await listManifests(ctx.store, tenant === undefined ? {} : { tenant })) {
    try {
      manifests.push(await readManifest(ctx, ref, { storeId }));
    } catch (error) {
      if (!(error instanceof HoldfastError)) throw error;
      damaged.push({ object: ref.name, code: error.code });
    }
  }
  return { manifests, damaged };
}

async function holdsInCatalog(client: pg.Client | undefined): Promise<string[]> {
  if (!client) return [];
  const { rows } = await client.query<{ id: string }>('select id from holdfast.tenant_backups where legal_hold');
  return rows.map((row) => row.id);
}

async function removeBackup(ctx: Context, client: pg.Client | undefined, manifest: Manifest): Promise<void> {
  await ctx.store.delete(manifestName(manifest.tenant, manifest.id));
  await client?.query("update holdfast.tenant_backups set status = 'expired' where id = $1", [manifest.id]);
  await removeFolder(ctx, backupFolder(manifest.id));
  await removeFolder(ctx, proofFolder(manifest.id));
}

async function removeFolder(ctx: Context, folder: string): Promise<void> {
  const names: string[] = [];
  for await (const { name } of ctx.store.list(folder)) names.push(name);
  for (const name of names) await ctx.store.delete(name);
}

/** Of a finished backup only its progress records go; of a killed one, everything. Objects first: the records name them. */
async function removeLeftovers(ctx: Context, id: string): Promise<void> {
  const finished = (await listManifests(ctx.store)).some((ref) => ref.id === id);
  if (!finished) await removeFolder(ctx, backupFolder(id));
  for await (const { name } of ctx.store.list('progress/')) {
    if (name.split('/').at(-2) === id) await ctx.store.delete(name);
  }
}

/** Folders of objects without a manifest, older than the grace time and of no run that is going on. */
async function findLeftovers(
  ctx: Context,
  client: pg.Client | undefined,
  now: bigint,
  graceHours: number,
): Promise<CleanupReport['leftovers'][number][]> {
  const listed = new Set((await listManifests(ctx.store)).map((ref) => ref.id));
  const running = client ? await runningBackups(client) : new Set<string>();
  const found = new Map<string, { objects: number; bytes: number }>();
  const before = formatMoment(now - BigInt(Math.round(graceHours * 3600)) * 1_000_000n).replace(/[-:.]/g, '');
  const visit = (id: string, size: number) => {
    if (running.has(id) || id.slice(0, 15) >= before.slice(0, 15)) return;
    const sum = found.get(id) ?? { objects: 0, bytes: 0 };
    found.set(id, { objects: sum.objects + 1, bytes: sum.bytes + size });
  };
  for await (const { name, size } of ctx.store.list('backups/')) {
    if (!listed.has(name.split('/')[1]!)) visit(name.split('/')[1]!, size);
  }
  for await (const { name, size } of ctx.store.list('progress/')) visit(name.split('/').at(-2)!, size);
  return [...found].map(([id, sum]) => ({ id, ...sum }));
}

/** A run holds the lock of its scope for as long as its connection lives, or a lease in its row. */
async function runningBackups(client: pg.Client): Promise<Set<string>> {
  const { rows } = await client.query<{ id: string }>(
    `select b.id from holdfast.tenant_backups b
      where b.status = 'running'
        and (b.leased_until > clock_timestamp() or exists (select from pg_locks l, hashtextextended('holdfast.backup ' || coalesce(b.tenant, ''), 0) k
                     where l.locktype = 'advisory' and l.granted and l.objsubid = 1
                       and l.database = (select oid from pg_database where datname = current_database())
                       and (l.classid::bigint << 32 | l.objid::bigint) = k))`,
  );
  return new Set(rows.map((row) => row.id));
}

/** Rows whose manifest is gone, as after a run that was killed between the store and the catalog. */
async function expireMissing(ctx: Context, client: pg.Client | undefined): Promise<void> {
  if (!client) return;
  const present = (await listManifests(ctx.store)).map((ref) => ref.id);
  await client.query(
    "update holdfast.tenant_backups set status = 'expired' where status = 'complete' and id <> all($1)",
    [present],
  );
}
