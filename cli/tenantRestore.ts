/** What `restore` and `point-in-time-recovery` have in common. */
import type { Command } from 'commander';
import { restoreTenant, type TenantRestore } from '../core/restore/tenant.ts';
import { stopOnSignal } from './interrupt.ts';
import { readsFrom } from './locations.ts';
import type { GlobalOptions, Report } from './report.ts';
import { restoreReport } from './restoreReport.ts';
import { contextOf } from './runtime.ts';
import { shellWord } from './shellWord.ts';

export interface TenantRestoreOptions extends GlobalOptions {
  readonly tenant: string;
  readonly preview: boolean;
  readonly fingerprint?: string;
  readonly fireTriggers: boolean;
}

export function declareTenantRestore(command: Command): Command {
  return readsFrom(command)
    .option('--preview', 'do it all, show it, and roll it back', false)
    .option('--fingerprint <hex>', 'of a preview: refuse if anything has moved since')
    .option('--fire-triggers', "let the application's own triggers fire instead of suspending them", false);
}

/** @param words the part of the command line that names the target */
export async function runTenantRestore(
  options: TenantRestoreOptions,
  target: Pick<TenantRestore, 'moment' | 'restorePoint' | 'backup'>,
  words: readonly string[],
): Promise<Report> {
  const context = await contextOf(options, 'database');
  stopOnSignal('A restore applies whole or not at all: preview it to see whether anything is left to do.');
  const started = performance.now();
  const result = await restoreTenant(context, {
    ...target,
    tenant: options.tenant,
    preview: options.preview,
    userTriggers: options.fireTriggers ? 'fire' : 'suspend',
    ...(options.fingerprint ? { fingerprint: options.fingerprint } : {}),
  });
  const again = ['holdfast', ...words, '-t', options.tenant, ...(options.fireTriggers ? ['--fire-triggers'] : [])];
  return restoreReport(result, performance.now() - started, again.map(shellWord).join(' '));
}
