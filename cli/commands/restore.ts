import { restoreTenant } from '../../core/restore/tenant.ts';
import { handle, type Register } from '../command.ts';
import { restoreReport } from '../restoreReport.ts';
import { contextOf } from '../runtime.ts';

interface Options {
  tenant: string;
  backup: string;
  preview: boolean;
  fingerprint?: string;
  fireTriggers: boolean;
}

export const restoreCommand: Register = (program) => {
  const command = program
    .command('restore')
    .description('bring one tenant of the live database back to where a backup ends; other tenants keep writing')
    .requiredOption('-t, --tenant <id>', 'the tenant')
    .requiredOption('-p, --backup <id>', 'the backup, as holdfast list shows it')
    .option('--preview', 'do it all, show it, and roll it back', false)
    .option('--fingerprint <hex>', 'of a preview: refuse if anything has moved since')
    .option('--fire-triggers', "let the application's own triggers fire instead of suspending them", false);
  handle<Options>(command, async (options) => {
    const context = await contextOf(options, 'database');
    const started = performance.now();
    const result = await restoreTenant(context, {
      tenant: options.tenant,
      backup: options.backup,
      preview: options.preview,
      userTriggers: options.fireTriggers ? 'fire' : 'suspend',
      ...(options.fingerprint ? { fingerprint: options.fingerprint } : {}),
    });
    return restoreReport(result, performance.now() - started);
  });
};
