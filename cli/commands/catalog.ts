import { rebuildCatalog } from '../../core/catalog/rebuild.ts';
import { handle, type Register } from '../command.ts';
import { contextOf, withDatabase } from '../runtime.ts';

export const catalogCommand: Register = (program) => {
  const group = program
    .command('catalog')
    .summary('the list of backups that the database keeps')
    .description('The list of backups that the database keeps.');
  const rebuild = group.command('rebuild').description('make it again from the store, which is the truth');
  handle(rebuild, async (options) => {
    const context = await contextOf(options, 'database');
    const report = await withDatabase(options, (client) => rebuildCatalog(context, client));
    return { json: report, text: `The catalog lists ${report.backups} backups, as the store does.` };
  });
};
