/**
 * A synthetic full: base and log of a chain folded into a new full, out of the store alone. Production is not read. What comes
 * out is what the database held at the end of the last log, and later logs go on from there.
 */
import { createHash, randomBytes } from 'node:crypto';
import { registerBackup, sha256Hex } from '../catalog/record.ts';
import type { Context } from '../context.ts';
import { IntegrityError, RestoreError } from '../errors.ts';
import { formatMoment, parseMoment } from '../moment.ts';
import type { Chain } from '../restore/chain.ts';
import { requireTenant } from '../restore/database.ts';
import { withoutErased } from '../restore/erasure.ts';
import { slabReader, storeChain, wantedTenants } from '../restore/storePlan.ts';
import { connect } from '../sql.ts';
import { readManifest, writeManifest } from './manifest.ts';
import type { EngineMaker } from './open/engine.ts';
import { type ChunkDone, findUnfinished, type RunPlan, removeProgress, writeProgress } from './progress.ts';
import { documentBytes, openStore } from './store.ts';
import { planSynthetic, type Unit } from './syntheticPlan.ts';
import { foldTables } from './syntheticTables.ts';
import { SyntheticWriter } from './syntheticWriter.ts';
import { FORMAT, FORMAT_VERSION, type Manifest, type ManifestObject } from './types.ts';

export interface SyntheticOptions {
  /** null: the whole database. */
  readonly tenant: string | null;
  /** As at the end of this backup. @default the latest that the store reaches */
  readonly backup?: string;
  /** Raw bytes of an object. @default 64 MiB */
  readonly chunkBytes?: number;
  /** Raw bytes of one tenant's log that are folded at once. @default 192 MiB */
  readonly memoryBytes?: number;
  /** Where the schema is looked at if it does not fit into this process. */
  readonly scratch: EngineMaker;
}

export interface SyntheticResult {
  readonly manifest: Manifest;
  /** Units that an earlier, killed run had finished. */
  readonly resumed: number;
  /** Whether the catalog in the database lists it; not when no database was named or it did not answer. */
  readonly listed: boolean;
  readonly seconds: number;
}

/** What a progress record of this kind says beyond that of an ordinary chunk. */
type UnitDone = ChunkDone & { readonly matched: number; readonly partial: number };

/**
 * @throws RestoreError HF_NO_BACKUP, HF_TENANT_UNKNOWN, HF_SCHEMA_CHANGED, HF_NOTHING_TO_FOLD; IntegrityError HF_LOG_GAP;
 * whatever store and keys throw. A run that is killed leaves no backup, and the next one goes on where it was.
 */
export async function syntheticFull(ctx: Context, options: SyntheticOptions): Promise<SyntheticResult> {
  const began = performance.now();
  const { tenant } = options;
  const moment = options.backup ? parseMoment((await readManifest(ctx, options.backup)).horizon) : undefined;
  const chain = await storeChain(ctx, tenant, moment);
  if (tenant !== null) requireTenant(chain, tenant, ctx.store.description);
  if (chain.logs.length === 1) throw nothingToFold(chain.base);
  const reader = withoutErased(await slabReader(ctx), ctx.ledger);
  const tables = await foldTables(ctx, reader, chain, options.scratch);
  const units = planSynthetic(chain, {
    wanted: wantedTenants(tenant),
    target: options.chunkBytes ?? 64 << 20,
    memory: options.memoryBytes ?? 192 << 20,
  });
  const run = await beginOrResume(ctx, chain, tenant, units);
  const writer = new SyntheticWriter(ctx, { id: run.plan.backup, reader, chain, tables, tenant });
  await writer.resume(run.done);
  const done = await foldUnits(ctx, writer, units, run);
  const schema = await writer.schema();
  const manifest = await commit(ctx, chain, { tenant, run: run.plan, done, schema, writer });
  await removeProgress(ctx.store, tenant, manifest.id);
  const listed = await list(ctx, manifest);
  return { manifest, resumed: run.done.length, listed, seconds: (performance.now() - began) / 1000 };
}

interface Run {
  readonly plan: RunPlan;
  readonly done: readonly UnitDone[];
}

/** The same chain folded in the same way is continued; anything else begins anew. */
async function beginOrResume(ctx: Context, chain: Chain, tenant: string | null, units: readonly Unit[]): Promise<Run> {
  const last = chain.logs.at(-1)!;
  const shape = units.map((u) =>
    u.pieces.map((p) => [p.tenant, p.share, p.slabs.map((s) => [s.object.name, s.slab.offset]), p.last]),
  );
  const fingerprint = `synthetic ${createHash('sha256')
    .update(JSON.stringify([chain.logs.map((m) => m.id), shape]))
    .digest('hex')}`;
  const unfinished = await findUnfinished(ctx, tenant);
  if (unfinished?.run.fingerprint === fingerprint) {
    return { plan: unfinished.run, done: unfinished.done as readonly UnitDone[] };
  }
  const startedAt = formatMoment(ctx.clock.now());
  const plan: RunPlan = {
    kind: 'plan',
    backup: backupId(startedAt),
    store: (await openStore(ctx)).id,
    epoch: last.epoch,
    tenant,
    type: 'full',
    parent: last.id,
    startedAt,
    tables: last.tables.map((t) => t.name),
    excluded: chain.excluded,
    fingerprint,
    chunkBytes: 0,
    from: { snapshot: last.log.to, moment: last.log.toMoment },
    plan: { tenants: [], chunks: [] },
  };
  await writeProgress(ctx, tenant, plan);
  return { plan, done: [] };
}

async function foldUnits(ctx: Context, writer: SyntheticWriter, units: readonly Unit[], run: Run): Promise<UnitDone[]> {
  const known = new Map(run.done.map((d) => [d.chunk, d]));
  const { progress } = ctx;
  progress.start(
    'Folding',
    units.reduce((sum, u) => sum + u.bytes, 0),
    'bytes',
  );
  const done: UnitDone[] = [];
  for (const unit of units) {
    let one = known.get(unit.id);
    if (!one) {
      one = { kind: 'chunk', backup: run.plan.backup, chunk: unit.id, ...(await writer.unit(unit)) };
      await writeProgress(ctx, run.plan.tenant, one);
    }
    done.push(one);
    progress.advance(unit.bytes);
  }
  progress.done();
  const matched = done.reduce((sum, d) => sum + d.matched, 0);
  const partial = done.reduce((sum, d) => sum + d.partial, 0);
  if (matched === partial) return done;
  throw new IntegrityError('HF_LOG_GAP', `The log changes ${partial} rows of which the base holds ${matched}.`, {
    action: 'A part of the history is not in this store. Take a full backup of the database itself.',
    details: { expected: partial, got: matched },
  });
}

async function commit(
  ctx: Context,
  chain: Chain,
  made: {
    tenant: string | null;
    run: RunPlan;
    done: readonly UnitDone[];
    schema: ManifestObject;
    writer: SyntheticWriter;
  },
): Promise<Manifest> {
  const last = chain.logs.at(-1)!;
  const { to, toMoment } = last.log;
  const objects = [...made.done.flatMap((d) => d.objects), made.schema];
  const rows = new Map<string, number>();
  for (const { slabs, kind } of objects) {
    if (kind !== 'chunk') continue;
    for (const slab of slabs) for (const [t, n] of Object.entries(slab.rows)) rows.set(t, (rows.get(t) ?? 0) + n);
  }
  const excluded = new Set(chain.excluded);
  return writeManifest(ctx, {
    format: FORMAT,
    version: FORMAT_VERSION,
    id: made.run.backup,
    store: made.run.store,
    epoch: last.epoch,
    server: last.server,
    tenant: made.tenant,
    type: 'full',
    parent: last.id,
    startedAt: made.run.startedAt,
    finishedAt: formatMoment(ctx.clock.now()),
    horizon: toMoment,
    // Its rows are those of one moment, so it needs no log of its own: the next one goes on where the last one ended.
    log: { from: to, to, fromMoment: toMoment, toMoment },
    consistentFrom: toMoment,
    synthetic: chain.logs.map((m) => m.id),
    tables: last.tables.filter((t) => !excluded.has(t.name)).map((t) => ({ ...t, rows: rows.get(t.name) ?? 0 })),
    excluded: chain.excluded,
    keys: made.writer.keyEntries,
    objects,
    totals: {
      rows: [...rows.values()].reduce((sum, n) => sum + n, 0),
      changes: 0,
      rawBytes: made.done.reduce((sum, d) => sum + d.rawBytes, 0),
      bytes: objects.reduce((sum, o) => sum + o.size, 0),
    },
  });
}

/** The store is the truth; the catalog is told when it can be. */
async function list(ctx: Context, manifest: Manifest): Promise<boolean> {
  if (ctx.databaseUrl === undefined) return false;
  try {
    const client = await connect(ctx.databaseUrl, 'holdfast-catalog');
    try {
      await registerBackup(client, manifest, sha256Hex(documentBytes(manifest)), manifest.finishedAt);
    } finally {
      await client.end();
    }
    return true;
  } catch {
    return false; // said in the result
  }
}

/** `20261121T085752123Z-full-9f3ac1`: sorts by time. */
function backupId(startedAt: string): string {
  const time = startedAt.replace(/[-:.]/g, '').replace(/\d{3}Z$/, 'Z');
  return `${time}-full-${randomBytes(3).toString('hex')}`;
}

const nothingToFold = (base: Manifest) =>
  new RestoreError('HF_NOTHING_TO_FOLD', `There is no log after full backup ${base.id} that could be folded into it.`, {
    action: 'Take an incremental or a log backup first.',
    details: { base: base.id },
  });
