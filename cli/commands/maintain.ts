import { maintain } from '../../core/history/maintain.ts';
import { seal } from '../../core/history/seal/seal.ts';
import { handle, type Register } from '../command.ts';
import { count, printable } from '../output.ts';
import { contextOf, databaseUrl, withDatabase } from '../runtime.ts';

export const maintainCommand: Register = (program) => {
  const command = program
    .command('maintain')
    .summary('close the latest moment, seal the trail; by the minute from cron')
    .description(
      "Closes the latest moment, makes next month's partition, settles restore requests whose time is over, and seals the trail. " +
        'Run it every minute from cron.',
    )
    .option('--no-seal', 'leave sealing to a machine that has the key file');
  handle<{ seal: boolean }>(command, async (options) => {
    const report = await withDatabase(options, maintain);
    const { interrupted, expired, released } = report.requests;
    const exact = [
      `History is exact up to ${report.moment}.`,
      ...interrupted.map((id) => `Restore request ${id} was interrupted and has failed; nothing was changed.`),
      ...expired.map((id) => `Restore request ${id} has expired.`),
      ...released.map((tenant) => `Maintenance of tenant ${printable(tenant)} has run out.`),
    ].join('\n');
    if (!options.seal) return { json: report, text: exact };
    const sealed = await seal({ ...(await contextOf(options, 'database')), databaseUrl: databaseUrl(options) });
    return { json: { ...report, sealed }, text: `${exact} Sealed ${count(sealed.rows, 'change')}.` };
  });
};
