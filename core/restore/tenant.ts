/** Brings one tenant of a live database back to a moment, beside everybody else's writes. */
import { describeError, logStep } from '../catalog/record.ts';
import type { Context } from '../context.ts';
import { bind } from '../datamap/bind.ts';
import { tenantExists, tenantRemembered, unknownTenant } from '../datamap/tenants.ts';
import type { BoundMap } from '../datamap/types.ts';
import { type HoldfastError, RestoreError } from '../errors.ts';
import { type Actor, setActor } from '../history/actor.ts';
import { createRestorePoint } from '../history/restorePoints.ts';
import { formatMoment } from '../moment.ts';
import { withRetries } from '../retry.ts';
import { type Client, connect } from '../sql.ts';
import { apply, countsOf, prepare } from './apply.ts';
import { stageLive } from './liveState.ts';
import { type Plan, planRestore, type Target } from './plan.ts';
import { fingerprint, type RowSample, sampleRows } from './preview.ts';
import { keyOf } from './record.ts';
import { actAsTenant } from './rowSecurity.ts';
import { Stage } from './stage.ts';
import type { Counts, TableWork } from './statement.ts';
import { stageStore } from './storeState.ts';
import { readTargets } from './target.ts';
import { lockTenant } from './tenantLock.ts';
import { findTriggers, type SuspendedTrigger } from './triggers.ts';

export interface TenantRestore extends Target {
  readonly tenant: string;
  /** Do everything and roll it back. @default false */
  readonly preview?: boolean;
  /** Of a preview: refuse when what would be done is no longer the same. */
  readonly fingerprint?: string;
  /** @default 'suspend' */
  readonly userTriggers?: 'suspend' | 'fire';
  /** Whether to go on where a column was dropped since the target; what it held cannot be brought back. @default 'refuse' */
  readonly droppedColumns?: 'refuse' | 'ignore';
  /** Who restores, for the trail. @default the database user, by name */
  readonly actor?: Actor;
  /** Rows shown per table. @default 5 */
  readonly samples?: number;
  /** Runs in the restore's own transaction, just before it commits; what it throws undoes the restore. Not for a preview. */
  readonly beforeCommit?: (client: Client, xid: string | null) => Promise<void>;
}

export interface TenantRestoreResult {
  readonly tenant: string;
  readonly moment: string;
  readonly source: 'live' | 'store';
  /** Backups that were read, base first; empty when the live table and the trail sufficed. */
  readonly backups: readonly string[];
  readonly preview: boolean;
  readonly tables: Readonly<Record<string, Counts>>;
  readonly totals: Counts;
  readonly samples: readonly RowSample[];
  readonly suspended: readonly SuspendedTrigger[];
  /** Preview only: why it could not be applied. */
  readonly violations: readonly Pick<HoldfastError, 'code' | 'message' | 'action' | 'details'>[];
  readonly fingerprint: string;
  /** Restoring to this point undoes the restore. null for a preview, and when nothing had to be done. */
  readonly restorePoint: string | null;
  /** The transaction that wrote. null for a preview, and when nothing had to be done. */
  readonly xid: string | null;
  /** Tables that the backups read had left out. */
  readonly excluded: readonly string[];
}

/**
 * @throws RestoreError HF_TENANT_UNKNOWN, HF_TIME_…, HF_RESTORE_CONFLICT, HF_RESTORE_FOREIGN, HF_RESTORE_DIFFERS,
 * HF_PLAN_STALE; whatever is thrown, nothing was changed
 */
export async function restoreTenant(ctx: Context, request: TenantRestore): Promise<TenantRestoreResult> {
  const client = await connect(requireUrl(ctx), 'holdfast-restore');
  try {
    const bound = await bind(client, ctx.map);
    await requireTenant(client, bound, request.tenant);
    const plan = await planRestore(ctx, request, client);
    const point = request.preview ? null : await safetyPoint(client, request.tenant, plan);
    const result = await withRetries(() => attempt(ctx, client, bound, plan, request)).catch(async (error) => {
      await recordRefusal(client, request, error);
      throw error;
    });
    return { ...result, restorePoint: point };
  } finally {
    await client.end();
  }
}

/** An attempt across tenants is a security event; the auditor finds it, and every other refusal, in the log. */
async function recordRefusal(client: Client, request: TenantRestore, error: unknown): Promise<void> {
  await logStep(client, {
    backup: null,
    tenant: request.tenant,
    step: request.preview ? 'restore-preview' : 'restore',
    result: error instanceof RestoreError ? 'refused' : 'failed',
    detail: { ...describeError(error), security: error instanceof RestoreError && error.code === 'HF_RESTORE_FOREIGN' },
  }).catch(() => {}); // with the connection gone nothing can be recorded, and the first error is the one to report
}

type Attempt = Omit<TenantRestoreResult, 'restorePoint'>;

async function attempt(
  ctx: Context,
  client: Client,
  bound: BoundMap,
  plan: Plan,
  request: TenantRestore,
): Promise<Attempt> {
  const { tenant, droppedColumns = 'refuse' } = request;
  await client.query('begin isolation level repeatable read');
  try {
    await lockTenant(client, tenant);
    await setActor(client, request.actor ?? { userAgent: `holdfast restore to ${formatMoment(plan.moment)}` });
    const targets = await readTargets(
      client,
      bound.tables.filter((t) => t.tenant),
    );
    await actAsTenant(
      client,
      targets.map((t) => t.bound),
      tenant,
    );
    const stage = new Stage(client, targets, keyOf);
    if (plan.source === 'live')
      await stageLive(
        client,
        stage,
        targets.map((t) => t.bound),
        { tenant, cut: plan.cut!, droppedColumns },
      );
    else await stageStore(ctx, client, stage, targets, { bound, tenant, droppedColumns }, plan.chain!);
    const works = await prepare(client, stage, { bound, tenant });
    const mark = await fingerprint(client, works, [tenant, formatMoment(plan.moment)]);
    if (request.fingerprint !== undefined && request.fingerprint !== mark) throw stale(request.fingerprint, mark);
    const samples = await sampleRows(client, works, request.samples ?? 5);
    const common = { ...describe(plan, request, works), samples, fingerprint: mark };
    const options = { bound, tenant, userTriggers: request.userTriggers ?? 'suspend' };
    if (!request.preview) {
      const { suspended } = await apply(client, works, options);
      const xid = works.length > 0 ? await currentXid(client) : null;
      await logStep(client, {
        backup: null,
        tenant,
        step: 'restore',
        result: 'ok',
        detail: { ...common, samples: undefined, xid },
      });
      await request.beforeCommit?.(client, xid);
      await client.query('commit');
      return { ...common, suspended, violations: [], xid };
    }
    const suspended = await findTriggers(
      client,
      works.map((w) => w.staged),
    );
    const violations = await apply(client, works, options).then(() => [], asViolation);
    await client.query('rollback');
    return { ...common, suspended: suspended.map(({ table, trigger }) => ({ table, trigger })), violations, xid: null };
  } catch (error) {
    await client.query('rollback').catch(() => {}); // the first error is the one to report
    throw error;
  }
}

function asViolation(error: unknown): Pick<HoldfastError, 'code' | 'message' | 'action' | 'details'>[] {
  if (!(error instanceof RestoreError)) throw error;
  const { code, message, action, details } = error;
  return [{ code, message, action, details }];
}

function describe(plan: Plan, request: TenantRestore, works: readonly TableWork[]) {
  const counts = works.map((w) => [w.staged.target.bound.name, countsOf(w)] as const);
  const touched = counts.filter(([, c]) => c.inserted + c.updated + c.deleted > 0);
  const total = (what: keyof Counts) => counts.reduce((sum, [, c]) => sum + c[what], 0);
  return {
    tenant: request.tenant,
    moment: formatMoment(plan.moment),
    source: plan.source,
    backups: plan.chain?.logs.map((m) => m.id) ?? [],
    preview: request.preview ?? false,
    tables: Object.fromEntries(touched),
    totals: { inserted: total('inserted'), updated: total('updated'), deleted: total('deleted') },
    excluded: plan.chain?.excluded ?? [],
  };
}

/** So that the restore itself can be undone: by restoring to this point. */
async function safetyPoint(client: Client, tenant: string, plan: Plan): Promise<string> {
  const name = `before restore ${formatMoment(BigInt(Date.now()) * 1000n)}`;
  await createRestorePoint(client, {
    name,
    tenant,
    reason: `restore of tenant ${tenant} to ${formatMoment(plan.moment)}`,
  });
  return name;
}

/** A tenant exists when it has a row, or when the trail remembers one. */
async function requireTenant(client: Client, bound: BoundMap, tenant: string): Promise<void> {
  if ((await tenantExists(client, bound, tenant)) || (await tenantRemembered(client, tenant))) return;
  throw await unknownTenant(client, bound, tenant, RestoreError);
}

async function currentXid(client: Client): Promise<string> {
  return (await client.query('select pg_current_xact_id()::text as xid')).rows[0].xid as string;
}

function requireUrl(ctx: Context): string {
  if (ctx.databaseUrl) return ctx.databaseUrl;
  throw new RestoreError('HF_DATABASE_URL', 'A tenant is restored into a live database, and none was named.', {
    action:
      'Pass --database-url; or bring the tenant back into an empty database with "holdfast restore-database --tenant".',
  });
}

const stale = (expected: string, got: string) =>
  new RestoreError('HF_PLAN_STALE', 'What the restore would do is no longer what was previewed.', {
    action: 'Preview again, look at what changed, and pass the new fingerprint.',
    details: { expected, got },
  });
