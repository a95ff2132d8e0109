import { validate } from '../../core/snapshot/validate.ts';
import { handle, type Register } from '../command.ts';
import { readsFrom } from '../locations.ts';
import { bold, count, green, printable, red, yellow } from '../output.ts';
import { contextOf } from '../runtime.ts';

export const validateCommand: Register = (program) => {
  const command = program
    .command('validate')
    .summary('check every object of a backup; name each fault')
    .description('Checks a backup. Each fault is named: which object, which bytes, what was expected.')
    .requiredOption('-p, --backup <id>', 'the backup')
    .option('--deep', 'read, open and count every byte of every object', false);
  handle<{ backup: string; deep: boolean }>(readsFrom(command), async (options) => {
    const context = await contextOf(options, 'store');
    const report = await validate(context, options.backup, { deep: options.deep });
    const lines = report.faults.map((fault) => {
      const where = fault.range ? ` bytes ${fault.range.offset}-${fault.range.offset + fault.range.length - 1}` : '';
      return `${red(bold(fault.kind))} ${fault.object}${where}: expected ${shorten(fault.expected)}, got ${shorten(fault.got)}`;
    });
    const extra = report.extra.map(({ object }) => yellow(`note: no manifest names ${object}`));
    const verdict = report.faults.length
      ? `${red(count(report.faults.length, 'fault'))} in backup ${options.backup}.`
      : `${green('Sound')}: backup ${options.backup}, ${count(report.objects, 'object')}${
          options.deep ? ', every byte read' : ', present in the right sizes; --deep reads every byte'
        }.`;
    return { json: report, text: [...lines, ...extra, verdict].join('\n'), exitCode: report.faults.length ? 1 : 0 };
  });
};

/** Whole digests are for --json; a person compares the beginnings. */
const shorten = (text: unknown): string => printable(text).replace(/\b([0-9a-f]{12})[0-9a-f]{52}\b/g, '$1…');
