import { maintain } from '../../core/history/maintain.ts';
import { handle, type Register } from '../command.ts';
import { withDatabase } from '../runtime.ts';

export const maintainCommand: Register = (program) => {
  const command = program
    .command('maintain')
    .summary('close the latest moment; by the minute from cron')
    .description("Closes the latest moment and makes next month's partition. Run it every minute from cron.");
  handle(command, async (options) => {
    const report = await withDatabase(options, maintain);
    return { json: report, text: `History is exact up to ${report.moment}.` };
  });
};
