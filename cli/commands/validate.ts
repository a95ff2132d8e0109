import { validate } from '../../core/snapshot/validate.ts';
import { handle, type Register } from '../command.ts';
import { bold, green, red } from '../output.ts';
import { contextOf } from '../runtime.ts';

export const validateCommand: Register = (program) => {
  const command = program
    .command('validate')
    .description('check a backup; each fault is named: which object, which bytes, what was expected')
    .requiredOption('-p, --backup <id>', 'the backup')
    .option('--deep', 'read, open and count every byte of every object', false);
  handle<{ backup: string; deep: boolean }>(command, async (options) => {
    const context = await contextOf(options, 'store');
    const report = await validate(context, options.backup, { deep: options.deep });
    const lines = report.faults.map((fault) => {
      const where = fault.range ? ` bytes ${fault.range.offset}-${fault.range.offset + fault.range.length - 1}` : '';
      return `${red(bold(fault.kind))} ${fault.object}${where}: expected ${fault.expected}, got ${fault.got}`;
    });
    const verdict = report.faults.length
      ? `${red(`${report.faults.length} faults`)} in backup ${options.backup}.`
      : `${green('Sound')}: backup ${options.backup}, ${report.objects} objects${options.deep ? ', every byte read' : ''}.`;
    return { json: report, text: [...lines, verdict].join('\n'), exitCode: report.faults.length ? 1 : 0 };
  });
};
