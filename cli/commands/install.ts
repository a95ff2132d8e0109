import { bind } from '../../core/datamap/bind.ts';
import { readMap } from '../../core/datamap/load.ts';
import { install } from '../../core/history/install.ts';
import { handle, type Register } from '../command.ts';
import { bold, count, yellow } from '../output.ts';
import { withDatabase } from '../runtime.ts';

export const installCommand: Register = (program) => {
  const command = program
    .command('install')
    .summary('create or upgrade the schema "holdfast" and the triggers')
    .description(
      'Creates or upgrades the schema "holdfast" and the triggers; safe to run again, and needed after edits.',
    );
  handle(command, async (options) => {
    const map = await readMap(options.config);
    const report = await withDatabase(options, async (client) => install(client, await bind(client, map)));
    const text = [
      `${bold('History is on.')} ${count(report.tables.length, 'table is', 'tables are')} captured from now on.`,
      ...report.notes.map((note) => yellow(`note: ${note}`)),
      'Next: holdfast doctor, then holdfast backup.',
    ];
    return { json: report, text: text.join('\n') };
  });
};
