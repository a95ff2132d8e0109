/**
 * Copies a tenant's rows, as of now, of a moment or of a backup, into another tenant: with new keys, every reference carried
 * over, and all of it or nothing. The tenant that is copied is only read.
 */
import { describeError, logStep } from '../../catalog/record.ts';
import type { Context } from '../../context.ts';
import { bind } from '../../datamap/bind.ts';
import { tenantExists, unknownTenant } from '../../datamap/tenants.ts';
import type { BoundMap, BoundTable } from '../../datamap/types.ts';
import { HoldfastError, RestoreError } from '../../errors.ts';
import { type Actor, setActor } from '../../history/actor.ts';
import { createRestorePoint } from '../../history/restorePoints.ts';
import { formatMoment } from '../../moment.ts';
import { withRetries } from '../../retry.ts';
import { type Client, connect } from '../../sql.ts';
import { apply, prepare } from '../apply.ts';
import { type Plan, planRestore } from '../plan.ts';
import { actAsTenant } from '../rowSecurity.ts';
import { readTargets } from '../target.ts';
import { lockTenant } from '../tenantLock.ts';
import { findTriggers } from '../triggers.ts';
import { requireAdministrator } from './administrator.ts';
import { chooseTables } from './choose.ts';
import { type Copy, makeCopy } from './copy.ts';
import { recordPersons } from './persons.ts';
import type { TransferRequest, TransferResult } from './types.ts';

/**
 * @throws RestoreError HF_ADMINISTRATOR_ONLY, HF_TRANSFER_SAME, HF_TENANT_UNKNOWN, HF_TABLE_UNKNOWN, HF_TRANSFER_TABLE,
 * HF_TRANSFER_KEY, HF_TRANSFER_REFERENCE, HF_TRANSFER_CONFLICT, HF_PLAN_STALE, HF_RESTORE_…; whatever is thrown, nothing was
 * changed
 */
export async function transferTenant(ctx: Context, request: TransferRequest): Promise<TransferResult> {
  const client = await connect(requireUrl(ctx), 'holdfast-transfer');
  try {
    await requireAdministrator(client, request.asSystemAdministrator);
    const bound = await bind(client, ctx.map);
    await requireTenants(client, bound, request);
    const tables = chooseTables(bound, request.tables, request.except);
    const plan = await planSource(ctx, client, request);
    const point = request.preview ? null : await safetyPoint(client, request);
    const result = await withRetries(() => attempt(ctx, client, { bound, tables, plan, request }));
    return { ...result, restorePoint: result.xid === null ? null : point };
  } catch (error) {
    await recordRefusal(client, request, error);
    throw error;
  } finally {
    await client.end();
  }
}

interface Work {
  readonly bound: BoundMap;
  readonly tables: readonly BoundTable[];
  readonly plan: Plan | undefined;
  readonly request: TransferRequest;
}

async function attempt(ctx: Context, client: Client, work: Work): Promise<Omit<TransferResult, 'restorePoint'>> {
  const { bound, tables, plan, request } = work;
  const { from, into } = request;
  await client.query('begin isolation level repeatable read');
  try {
    await lockTenant(client, into);
    await setActor(client, actorOf(request, plan));
    const targets = await readTargets(client, tables);
    await actAsTenant(client, tables, from);
    const copy = await makeCopy(ctx, client, { bound, targets, plan, request });
    if (request.fingerprint !== undefined && request.fingerprint !== copy.fingerprint) {
      throw stale(request.fingerprint, copy.fingerprint);
    }
    const common = { ...describe(work, copy), xid: null };
    const found = await findTriggers(client, copy.stage.tables);
    const suspended = found.map(({ table, trigger }) => ({ table, trigger }));
    const obstacles = copy.obstacles();
    if (!request.preview) {
      if (obstacles[0]) throw obstacles[0];
      const xid = await write(client, work, copy);
      const { mapping: _, ...detail } = { ...common, xid };
      for (const tenant of [from, into]) {
        const role = tenant === from ? 'copied from' : 'copied into';
        await logStep(client, { backup: null, tenant, step: 'transfer', result: 'ok', detail: { ...detail, role } });
      }
      await request.beforeCommit?.(client, xid);
      await client.query('commit');
      return { ...common, suspended, violations: [], xid };
    }
    const violations = obstacles.length > 0 ? obstacles : await write(client, work, copy).then(() => [], refused);
    await client.query('rollback');
    return {
      ...common,
      suspended,
      violations: violations.map(({ code, message, action, details }) => ({ code, message, action, details })),
    };
  } catch (error) {
    await client.query('rollback').catch(() => {}); // the first error is the one to report
    throw error;
  }
}

/** Inserts only: a row that is there already is a conflict, and was found before. Returns the transaction. */
async function write(client: Client, { bound, request }: Work, copy: Copy): Promise<string | null> {
  const scope = { bound, tenant: request.into };
  const works = await prepare(client, copy.stage, scope);
  const other = works.find((w) => w.updates + w.replaces + w.deletes + w.lateDeletes > 0);
  if (other) {
    throw new RestoreError('HF_TRANSFER_CONFLICT', `Rows of ${other.staged.target.bound.name} are there already.`, {
      action: 'Nothing was changed. Leave the table out, or remove those rows first.',
      details: { table: other.staged.target.bound.name },
    });
  }
  if (works.length === 0) return null;
  await apply(client, works, { ...scope, userTriggers: request.userTriggers ?? 'suspend' });
  const { rows } = await client.query('select pg_current_xact_id()::text as xid');
  await recordPersons(client, bound, copy.tables, request);
  return rows[0].xid as string;
}

function refused(error: unknown): HoldfastError[] {
  if (error instanceof RestoreError) return [error];
  throw error;
}

function describe({ plan, request }: Work, copy: Copy) {
  const tables = Object.fromEntries(
    copy.counts.map(({ table, rows }) => [table, { inserted: rows, updated: 0, deleted: 0 }]),
  );
  return {
    from: request.from,
    into: request.into,
    moment: plan ? formatMoment(plan.moment) : null,
    source: plan?.source ?? ('now' as const),
    backups: plan?.chain?.logs.map((m) => m.id) ?? [],
    preview: request.preview ?? false,
    tables,
    totals: { inserted: copy.counts.reduce((sum, c) => sum + c.rows, 0), updated: 0, deleted: 0 },
    newKeys: copy.newKeys,
    mapping: copy.mapping,
    persons: copy.persons,
    cleared: copy.cleared,
    untouched: copy.untouched,
    conflicts: copy.conflicts,
    excluded: plan?.chain?.excluded ?? [],
    fingerprint: copy.fingerprint,
  };
}

const actorOf = ({ actor, from }: TransferRequest, plan: Plan | undefined): Actor => ({
  ...actor,
  userAgent: `${actor?.userAgent ? `${actor.userAgent}; ` : ''}holdfast transfer from tenant ${from}${
    plan ? ` as of ${formatMoment(plan.moment)}` : ''
  }`,
});

async function planSource(ctx: Context, client: Client, request: TransferRequest): Promise<Plan | undefined> {
  const { from: tenant, moment, restorePoint, backup, source } = request;
  if (moment === undefined && restorePoint === undefined && backup === undefined && source !== 'store') {
    return undefined;
  }
  return planRestore(
    ctx,
    {
      tenant,
      ...(moment === undefined ? {} : { moment }),
      ...(restorePoint === undefined ? {} : { restorePoint }),
      ...(backup === undefined ? {} : { backup }),
      ...(source === undefined ? {} : { source }),
    },
    client,
  );
}

async function requireTenants(client: Client, bound: BoundMap, request: TransferRequest): Promise<void> {
  const { from, into } = request;
  if (from === into) {
    throw new RestoreError('HF_TRANSFER_SAME', `Tenant ${into} was named as the one to copy from and into.`, {
      action: 'To bring a tenant back to a moment, use holdfast point-in-time-recovery or holdfast restore.',
      details: { from, into },
    });
  }
  if (!(await tenantExists(client, bound, into))) throw await unknownTenant(client, bound, into, RestoreError);
  if (await tenantExists(client, bound, from)) return;
  const { rows } = await client.query('select exists (select from holdfast.trail where organization = $1) as known', [
    from,
  ]);
  const named = request.moment ?? request.restorePoint ?? request.backup;
  if (named === undefined || (!rows[0].known && request.backup === undefined)) {
    throw await unknownTenant(client, bound, from, RestoreError);
  }
}

async function safetyPoint(client: Client, { from, into }: TransferRequest): Promise<string> {
  const name = `before transfer ${formatMoment(BigInt(Date.now()) * 1000n)}`;
  await createRestorePoint(client, { name, tenant: into, reason: `copy of rows of tenant ${from}` });
  return name;
}

/**
 * An attempt to cross from one tenant to another is on record for both. Each tenant may read its own log, so it says what was
 * refused and not which values of the other were in the way.
 */
async function recordRefusal(client: Client, request: TransferRequest, error: unknown): Promise<void> {
  const { from, into, preview } = request;
  const { code } = describeError(error);
  for (const tenant of [from, into]) {
    await logStep(client, {
      backup: null,
      tenant,
      step: preview ? 'transfer-preview' : 'transfer',
      result: error instanceof HoldfastError ? 'refused' : 'failed',
      detail: { code, from, into },
    }).catch(() => {}); // with the connection or the right gone nothing can be recorded; the first error is the one to report
  }
}

function requireUrl(ctx: Context): string {
  if (ctx.databaseUrl) return ctx.databaseUrl;
  throw new RestoreError('HF_DATABASE_URL', 'Rows are copied inside a live database, and none was named.', {
    action: 'Pass --database-url.',
  });
}

const stale = (expected: string, got: string) =>
  new RestoreError('HF_PLAN_STALE', 'What would be copied is no longer what was previewed.', {
    action: 'Preview again, look at what changed, and pass the new fingerprint.',
    details: { expected, got },
  });
