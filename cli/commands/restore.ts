import { handle, type Register } from '../command.ts';
import { declareTenantRestore, runTenantRestore, type TenantRestoreOptions } from '../tenantRestore.ts';

export const restoreCommand: Register = (program) => {
  const command = program
    .command('restore')
    .summary('one tenant, live, to where a backup ends')
    .description('Brings one tenant of the live database back to where a backup ends; other tenants keep writing.')
    .requiredOption('-t, --tenant <id>', 'the tenant')
    .requiredOption('-p, --backup <id>', 'the backup, as holdfast list shows it');
  handle<TenantRestoreOptions & { backup: string }>(declareTenantRestore(command), async (options) =>
    runTenantRestore(options, { backup: options.backup }, ['restore', '-p', options.backup]),
  );
};
