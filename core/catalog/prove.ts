/** The restore test of a backup, with its result in the catalog: "last proven restorable". */
import type { Context } from '../context.ts';
import { ConfigError, HoldfastError } from '../errors.ts';
import { explain } from '../explain.ts';
import { formatMoment } from '../moment.ts';
import { type Proof, restoreTest } from '../restore/restoreTest.ts';
import { writeProof } from '../snapshot/proofs.ts';
import type { Manifest } from '../snapshot/types.ts';
import { connect } from '../sql.ts';
import { describeError, logStep, registerProof } from './record.ts';

/** What the catalog keeps of a test that could not be made: nothing is known of the backup, for this reason. */
export interface NotProven {
  readonly ok: null;
  readonly backup: string;
  readonly reason: Record<string, unknown>;
  /** A tenant of it that does restore. */
  readonly sample?: Proof;
}

/**
 * Restores the backup into a scratch database and records what came of it. A backup that does not restore is no error of
 * this function: its proof says so, and the catalog keeps it.
 * @throws DatabaseError HF_SCRATCH_DENIED and what else keeps the test from being made; the catalog keeps that too, and the
 * message says that the backup is there all the same
 */
export async function proveBackup(ctx: Context, manifest: Manifest): Promise<Proof> {
  const { databaseUrl } = ctx;
  if (databaseUrl === undefined) {
    throw new ConfigError('HF_DATABASE_URL', 'A restore test needs a server for its scratch database.', {
      action: 'Pass --database-url.',
    });
  }
  let proof: Proof;
  try {
    proof = await restoreTest(ctx, manifest);
  } catch (error) {
    const reason = explain(error) ?? error;
    const kept: NotProven = { ok: null, backup: manifest.id, reason: describeError(reason) };
    await record(ctx, databaseUrl, manifest, kept).catch(() => {}); // the first error is the one to report
    throw reason instanceof HoldfastError ? notProven(reason, manifest.id) : reason;
  }
  await record(ctx, databaseUrl, manifest, proof);
  return proof;
}

/**
 * The same for a backup of which there is only time to restore one tenant. When that one does not restore, the backup does not; when
 * it does, the others are as unproven as before, and the catalog says so.
 */
export async function proveSample(ctx: Context, manifest: Manifest, tenant: string): Promise<Proof> {
  const proof = await restoreTest(ctx, manifest, { tenant });
  const message = `Only tenant ${tenant} was restored: the whole takes longer than there was time for.`;
  const kept: NotProven = { ok: null, backup: manifest.id, reason: { code: 'HF_SAMPLED', message }, sample: proof };
  await record(ctx, ctx.databaseUrl!, manifest, proof.ok ? kept : proof);
  return proof;
}

/** In the store first: the catalog is only its copy. */
async function record(ctx: Context, databaseUrl: string, manifest: Manifest, proof: Proof | NotProven): Promise<void> {
  const at = formatMoment(ctx.clock.now());
  await writeProof(ctx, { backup: manifest.id, at, result: proof });
  const client = await connect(databaseUrl, 'holdfast-catalog');
  try {
    await registerProof(client, { backup: manifest.id, at, result: proof });
    await logStep(client, {
      backup: manifest.id,
      tenant: manifest.tenant,
      step: 'restore-test',
      result: proof.ok === null ? 'skipped' : proof.ok ? 'ok' : 'failed',
      ...(proof.ok === null ? { detail: proof.reason } : { milliseconds: proof.milliseconds }),
      ...(proof.ok === false ? { detail: proof.failures } : {}),
    });
  } finally {
    await client.end();
  }
}

/** The same error, saying that there is a backup all the same. */
function notProven(reason: HoldfastError, backup: string): HoldfastError {
  const Same = reason.constructor as typeof HoldfastError;
  return new Same(
    reason.code,
    `Backup ${backup} is complete and was kept, but could not be proven: ${reason.message}`,
    { cause: reason, action: reason.action, details: { ...reason.details, backup } },
  );
}
