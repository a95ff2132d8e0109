/** The restore test of a backup, with its result in the catalog: "last proven restorable". */
import type { Context } from '../context.ts';
import { ConfigError } from '../errors.ts';
import { type Proof, restoreTest } from '../restore/restoreTest.ts';
import type { Manifest } from '../snapshot/types.ts';
import { connect } from '../sql.ts';
import { logStep } from './record.ts';

/**
 * Restores the backup into a scratch database and records what came of it. A backup that does not restore is no error of
 * this function: its proof says so, and the catalog keeps it.
 * @throws DatabaseError HF_SCRATCH_DENIED and what else keeps the test from being made
 */
export async function proveBackup(ctx: Context, manifest: Manifest): Promise<Proof> {
  if (ctx.databaseUrl === undefined) {
    throw new ConfigError('HF_DATABASE_URL', 'A restore test needs a server for its scratch database.', {
      action: 'Pass --database-url.',
    });
  }
  const proof = await restoreTest(ctx, manifest);
  const client = await connect(ctx.databaseUrl, 'holdfast-catalog');
  try {
    await client.query(
      `update holdfast.tenant_backups
          set proof = $2, proven_at = case when $3 then clock_timestamp() else proven_at end where id = $1`,
      [manifest.id, JSON.stringify(proof), proof.ok],
    );
    await logStep(client, {
      backup: manifest.id,
      tenant: manifest.tenant,
      step: 'restore-test',
      result: proof.ok ? 'ok' : 'failed',
      milliseconds: proof.seconds * 1000,
      ...(proof.ok ? {} : { detail: proof.failures }),
    });
  } finally {
    await client.end();
  }
  return proof;
}
