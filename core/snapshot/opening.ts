/** How a run begins: what must hold, whose turn it is, what kind of backup can be made, and which killed run it goes on with. */
import { randomBytes } from 'node:crypto';
import type pg from 'pg';
import { recordFailed, recordRunning } from '../catalog/record.ts';
import { settleInterrupted } from '../catalog/settle.ts';
import type { Context } from '../context.ts';
import { bind } from '../datamap/bind.ts';
import type { BoundMap, TableName } from '../datamap/types.ts';
import { formatMoment } from '../moment.ts';
import { type Decision, decide } from './base.ts';
import { checkDatabase, selectTables } from './checks.ts';
import { type DatabaseFacts, readFacts } from './facts.ts';
import { backupsBefore } from './history.ts';
import { horizonAt, takeHorizon } from './horizon.ts';
import { claimScope, LEASE_SECONDS } from './lease.ts';
import { planChunks } from './plan.ts';
import { findUnfinished, type RunPlan, type Unfinished, writeProgress } from './progress.ts';
import { columnFingerprint } from './readChunk.ts';
import { openStore } from './store.ts';
import type { BackupType } from './types.ts';

export interface BackupOptions {
  readonly type: BackupType;
  /** @default every tenant and the shared rows */
  readonly tenant?: string;
  /** @default all protected tables */
  readonly tables?: readonly TableName[];
  readonly exclude?: readonly TableName[];
  /** Raw bytes per chunk. @default 32 MiB */
  readonly chunkBytes?: number;
}

/** A run that may begin. */
export interface OpenRun {
  readonly ctx: Context;
  readonly client: pg.Client;
  readonly bound: BoundMap;
  readonly plan: RunPlan;
  /** Chunks that an earlier, killed run had finished. */
  readonly unfinished: Unfinished | undefined;
  /** What is made instead of what was asked, and why. */
  readonly note?: string;
}

const CHUNK_BYTES = 32 << 20;
/** A killed run older than this is not continued: what it read would make the log needlessly long. */
const RESUME_HOURS = 24;

/**
 * Checks, claims the scope, decides, plans, and says so in the catalog. `execution` names a run whose steps are processes of their
 * own: its plan is always kept in the store, and its claim outlives this connection.
 * @throws DatabaseError HF_NOT_INSTALLED, HF_NOT_PROTECTED, HF_BACKUP_RUNNING, HF_DATABASE_REWOUND; ConfigError HF_TENANT_UNKNOWN,
 * HF_TABLE_UNKNOWN
 */
export async function openRun(
  ctx: Context,
  client: pg.Client,
  options: BackupOptions,
  execution?: string,
): Promise<OpenRun> {
  const tenant = options.tenant ?? null;
  const bound = await bind(client, ctx.map);
  await checkDatabase(client, bound, tenant);
  await claimScope(client, tenant, execution);
  const { tables, excluded } = selectTables(bound, options);
  const facts = await readFacts(client, bound, tables, tenant);
  const store = (await openStore(ctx, { create: true })).id;
  const decision = await chooseBase(ctx, client, { store, tenant, excluded, facts, asked: options.type });
  const about = { ctx, client, bound, facts, store, tenant, excluded, decision };
  const unfinished = await resumable(about);
  const plan = unfinished?.run ?? (await makePlan(about, options.chunkBytes ?? CHUNK_BYTES));
  await settleInterrupted(ctx, client, { tenant, storeId: store, except: unfinished?.run.backup });
  await recordRunning(client, {
    id: plan.backup,
    tenant,
    type: plan.type,
    parent: plan.parent,
    epoch: plan.epoch,
    startedAt: plan.startedAt,
    ...(execution === undefined ? {} : { execution, leaseSeconds: LEASE_SECONDS }),
  });
  // The row is there before anything that would be left behind without it.
  if (!unfinished && (plan.type === 'full' || execution !== undefined)) {
    await writeProgress(ctx, tenant, plan).catch(async (error) => {
      await recordFailed(client, plan.backup, error).catch(() => {}); // the store's error is the one to report
      throw error;
    });
  }
  return { ctx, client, bound, plan, unfinished, ...(decision.note === undefined ? {} : { note: decision.note }) };
}

interface About extends Pick<OpenRun, 'ctx' | 'client' | 'bound'> {
  readonly facts: DatabaseFacts;
  readonly store: string;
  readonly tenant: string | null;
  readonly excluded: readonly string[];
  readonly decision: Decision;
}

async function chooseBase(
  ctx: Context,
  client: pg.Client,
  about: Pick<About, 'store' | 'tenant' | 'excluded' | 'facts'> & { readonly asked: BackupType },
): Promise<Decision> {
  const { facts, asked } = about;
  const before = await backupsBefore(ctx, about.store, about.tenant, about.excluded);
  const reached = new Set<string>();
  for (const manifest of [before.latest, before.full]) {
    if (manifest && (await horizonAt(client, manifest.log.toMoment)) !== undefined) reached.add(manifest.id);
  }
  return decide({
    ...before,
    ...facts,
    asked,
    known: (id) => facts.backups.has(id),
    reaches: (manifest) => reached.has(manifest.id),
  });
}

/** The killed run that can be continued: the same kind, store and life of the database, the same schema, not too long ago. */
async function resumable(about: About): Promise<Unfinished | undefined> {
  const { ctx, client, bound, decision } = about;
  const unfinished = await findUnfinished(ctx, about.tenant);
  if (!unfinished) return undefined;
  const { run } = unfinished;
  const age = ctx.clock.now() - BigInt(Date.parse(run.startedAt)) * 1000n;
  const fits =
    run.type === decision.type &&
    run.store === about.store &&
    run.epoch === about.facts.epoch &&
    run.parent === (decision.parent?.id ?? null) &&
    String(run.excluded) === String(about.excluded) &&
    age < BigInt(RESUME_HOURS) * 3_600_000_000n &&
    run.fingerprint === (await columnFingerprint(client, bound));
  return fits ? unfinished : undefined;
}

async function makePlan(about: About, chunkBytes: number): Promise<RunPlan> {
  const { ctx, client, bound, facts, tenant, decision } = about;
  const startedAt = formatMoment(ctx.clock.now());
  const tables = facts.tables.map((t) => t.name);
  const before = decision.parent ? undefined : await takeHorizon(client);
  const log = decision.parent?.log;
  return {
    kind: 'plan',
    backup: backupId(startedAt, decision.type),
    store: about.store,
    epoch: facts.epoch,
    server: facts.server,
    tenant,
    type: decision.type,
    parent: decision.parent?.id ?? null,
    startedAt,
    tables,
    excluded: about.excluded,
    fingerprint: await columnFingerprint(client, bound),
    versions: facts.tables.map(({ name, id, version }) => ({ name, id, version })),
    chunkBytes,
    from: log
      ? { snapshot: log.to, moment: log.toMoment }
      : { snapshot: before!.snapshot, moment: formatMoment(before!.moment) },
    plan:
      decision.type === 'full'
        ? await planChunks(client, bound, { tenant, tables, target: chunkBytes })
        : { tenants: [], chunks: [] },
  };
}

/** `20261121T085752123Z-full-9f3ac1`: sorts by time. */
function backupId(startedAt: string, type: BackupType): string {
  const time = startedAt.replace(/[-:.]/g, '').replace(/\d{3}Z$/, 'Z');
  return `${time}-${type.replace('_', '-')}-${randomBytes(3).toString('hex')}`;
}
