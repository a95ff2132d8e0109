import { parseMoment } from '../../core/moment.ts';
import { restoreDatabase } from '../../core/restore/database.ts';
import { handle, type Register } from '../command.ts';
import { bold, duration } from '../output.ts';
import { contextOf } from '../runtime.ts';

interface Options {
  targetUrl: string;
  targetTime?: string;
  backup?: string;
  tenant?: string;
}

export const restoreDatabaseCommand: Register = (program) => {
  const command = program
    .command('restore-database')
    .description(
      'bring everything, or one tenant with the shared tables, back into an empty database; needs only the store and the keys',
    )
    .requiredOption('--target-url <url>', 'an empty database')
    .option('--target-time <time>', 'default: the latest moment that the store reaches')
    .option('-p, --backup <id>', 'as at the end of this backup')
    .option('-t, --tenant <id>', 'only this tenant');
  handle<Options>(command, async (options) => {
    const context = await contextOf(options, 'store');
    const started = performance.now();
    const result = await restoreDatabase(context, {
      targetUrl: options.targetUrl,
      ...(options.targetTime ? { moment: parseMoment(options.targetTime) } : {}),
      ...(options.backup ? { backup: options.backup } : {}),
      ...(options.tenant ? { tenant: options.tenant } : {}),
    });
    const took = duration(performance.now() - started);
    return {
      json: result,
      text: `${bold('Restored')} ${result.rows.toLocaleString('en')} rows of ${result.tables} tables as of ${result.moment}, in ${took}.`,
    };
  });
};
