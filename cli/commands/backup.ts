import { Option } from 'commander';
import { proveBackup } from '../../core/catalog/prove.ts';
import { backup } from '../../core/snapshot/backup.ts';
import type { BackupType } from '../../core/snapshot/types.ts';
import { handle, type Register } from '../command.ts';
import { bold, bytes, duration, green, red, yellow } from '../output.ts';
import { contextOf } from '../runtime.ts';

interface Options {
  tenant?: string;
  type: BackupType;
  table?: string[];
  exclude?: string[];
  prove: boolean;
}

export const backupCommand: Register = (program) => {
  const command = program
    .command('backup')
    .description('back up one tenant, or the whole database, and prove that it restores')
    .option('-t, --tenant <id>', 'default: every tenant and the shared tables')
    .addOption(
      new Option('--type <type>', 'what to copy')
        .choices(['full', 'incremental', 'differential', 'transaction_log'])
        .default('full'),
    )
    .option('--table <name...>', 'only these tables')
    .option('--exclude <name...>', 'all tables but these')
    .option('--no-prove', 'skip the restore test');
  handle<Options>(command, async (options) => {
    const context = await contextOf(options, 'database');
    const { manifest, note, resumed, seconds } = await backup(context, {
      type: options.type,
      ...(options.tenant ? { tenant: options.tenant } : {}),
      ...(options.table ? { tables: options.table } : {}),
      ...(options.exclude ? { exclude: options.exclude } : {}),
    });
    // A log is a link of a chain, tested with the backups that need it, not on its own.
    const proof =
      options.prove && manifest.type !== 'transaction_log' ? await proveBackup(context, manifest) : undefined;
    const { totals } = manifest;
    const size = `${totals.rows.toLocaleString('en')} rows, ${totals.changes.toLocaleString('en')} changes, ${bytes(totals.bytes)} stored`;
    const lines = [
      `${bold(manifest.id)}  ${manifest.type} of ${manifest.tenant ?? 'the whole database'}: ${size}, ${duration(seconds * 1000)}`,
      ...(note ? [yellow(`note: ${note}`)] : []),
      ...(resumed ? [`${resumed} chunks were there already, from a run that was interrupted.`] : []),
      `restores to any moment up to ${manifest.horizon}`,
    ];
    if (proof) {
      lines.push(
        proof.ok
          ? `${green('proven')}: restored into a scratch database, every row of ${proof.tables.length} tables compared, ${duration(proof.seconds * 1000)}`
          : `${red('NOT restorable')}: ${proof.failures.join('; ')}`,
      );
    }
    return {
      json: {
        backup: manifest.id,
        type: manifest.type,
        tenant: manifest.tenant,
        horizon: manifest.horizon,
        totals,
        note,
        resumed,
        seconds,
        proof,
      },
      text: lines.join('\n'),
      exitCode: proof && !proof.ok ? 1 : 0,
    };
  });
};
