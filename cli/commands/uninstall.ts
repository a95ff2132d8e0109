import { ConfigError } from '../../core/errors.ts';
import { uninstall } from '../../core/history/uninstall.ts';
import { handle, type Register } from '../command.ts';
import { withDatabase } from '../runtime.ts';

export const uninstallCommand: Register = (program) => {
  const command = program
    .command('uninstall')
    .summary('remove triggers and history; backups stay')
    .description('Removes the triggers and the schema "holdfast", history included; backups in the store stay.')
    .option('--yes', 'really remove the history', false);
  handle<{ yes: boolean }>(command, async (options) => {
    if (!options.yes) {
      throw new ConfigError('HF_CONFIRMATION_NEEDED', 'This removes the history that the database holds.', {
        action: 'Take a last backup (holdfast backup), then run holdfast uninstall --yes.',
      });
    }
    await withDatabase(options, uninstall);
    return {
      json: { uninstalled: true },
      text: 'Holdfast is gone from this database. Backups in the store are untouched.',
    };
  });
};
