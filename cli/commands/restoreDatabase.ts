import { parseMoment } from '../../core/moment.ts';
import { restoreDatabase } from '../../core/restore/database.ts';
import { handle, type Register } from '../command.ts';
import { stopOnSignal } from '../interrupt.ts';
import { readsFrom } from '../locations.ts';
import { bold, count, duration, yellow } from '../output.ts';
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
    .summary('everything, into an empty database, from the store')
    .description(
      'Brings everything, or one tenant with the shared tables, into an empty database. Needs only the store and the keys.',
    )
    .requiredOption('--target-url <url>', 'an empty database')
    .option('--target-time <time>', 'default: the latest moment that the store reaches')
    .option('-p, --backup <id>', 'as at the end of this backup')
    .option('-t, --tenant <id>', 'only this tenant');
  handle<Options>(readsFrom(command), async (options) => {
    const context = await contextOf(options, 'store');
    stopOnSignal('The target database is incomplete and marked so. Drop it, create it again, and run this again.');
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
      text: [
        `${bold('Restored')} ${count(result.rows, 'row')} of ${count(result.tables, 'table')} as of ${result.moment}  (${took})`,
        `from ${count(result.backups.length, 'backup')}: ${result.backups.join(', ')}`,
        ...(result.erased ? [`${count(result.erased, 'row')} of erased persons stayed out.`] : []),
        ...result.notes.map((note) => yellow(`note: ${note}`)),
        'History is on in the new database. Next: holdfast catalog rebuild, then holdfast backup.',
      ].join('\n'),
    };
  });
};
