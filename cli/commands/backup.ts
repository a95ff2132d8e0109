import { Option } from 'commander';
import { proveBackup } from '../../core/catalog/prove.ts';
import { backup } from '../../core/snapshot/backup.ts';
import type { BackupType } from '../../core/snapshot/types.ts';
import { handle, type Register } from '../command.ts';
import { stopOnSignal } from '../interrupt.ts';
import { bold, bytes, count, duration, yellow } from '../output.ts';
import { proofLine } from '../proofLine.ts';
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
    .summary('one tenant, or everything, and prove that it restores')
    .description('Backs up one tenant, or the whole database, and proves that the backup restores.')
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
    stopOnSignal('No backup was made, and nothing is lost: run the same command again and it goes on where it was.');
    const { manifest, note, resumed, seconds } = await backup(context, {
      type: options.type,
      ...(options.tenant ? { tenant: options.tenant } : {}),
      ...(options.table ? { tables: options.table } : {}),
      ...(options.exclude ? { exclude: options.exclude } : {}),
    });
    stopOnSignal(
      `Backup ${manifest.id} is complete, but its restore test was cut short. "holdfast validate --deep" checks its bytes.`,
    );
    // A log is a link of a chain, tested with the backups that need it, not on its own.
    const proof =
      options.prove && manifest.type !== 'transaction_log' ? await proveBackup(context, manifest) : undefined;
    const { totals } = manifest;
    const size = `${count(totals.rows, 'row')}, ${count(totals.changes, 'change')}, ${bytes(totals.bytes)} stored`;
    const lines = [
      `${bold(manifest.id)}  (${duration(seconds * 1000)})`,
      `${manifest.type} of ${manifest.tenant === null ? 'the whole database' : `tenant ${manifest.tenant}`}: ${size}`,
      ...(note ? [yellow(`note: ${note}`)] : []),
      ...(resumed
        ? [
            `${count(resumed, 'chunk')} of an interrupted run ${resumed === 1 ? 'was' : 'were'} there already and ${resumed === 1 ? 'was' : 'were'} kept.`,
          ]
        : []),
      `restores to any moment up to ${manifest.horizon}`,
    ];
    if (proof) lines.push(proofLine(proof));
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
