import { ConfigError } from '../../core/errors.ts';
import { diff } from '../../core/history/travel/diff.ts';
import type { Difference } from '../../core/history/travel/types.ts';
import { handle, type Register } from '../command.ts';
import { bold, printable } from '../output.ts';
import { withDatabase } from '../runtime.ts';
import { finish } from '../travel/finish.ts';
import { declareOutput, type OutputOptions, outputOf, whenOf } from '../travel/options.ts';
import { fieldLines, short, sign } from '../travel/show.ts';

interface Options extends OutputOptions {
  readonly from?: string;
  readonly fromPoint?: string;
  readonly to?: string;
  readonly toPoint?: string;
  readonly tenant?: string;
}

export const diffCommand: Register = (program) => {
  const command = program
    .command('diff <table> [key...]')
    .summary('what differs between two moments')
    .description(
      'Shows the records of a table that differ between two moments. What changed and changed back is left out; ' +
        '"holdfast activity" shows every single change.',
    )
    .option('--from <time>', 'the earlier moment, ISO 8601')
    .option('--from-point <name>', 'a restore point instead')
    .option('--to <time>', 'the later moment; default: now')
    .option('--to-point <name>', 'a restore point instead')
    .option('-t, --tenant <id>', 'only this tenant’s rows');
  handle<Options>(declareOutput(command), async (options, table, ...rest) => {
    const key = rest.flat().filter((part) => part !== undefined);
    const { limit, after } = outputOf(options);
    const from = whenOf(options.from, options.fromPoint, ['--from', '--from-point']);
    const to = whenOf(options.to, options.toPoint, ['--to', '--to-point']);
    if (from === undefined) {
      throw new ConfigError('HF_TARGET_MISSING', 'Say since when.', {
        action: 'Pass either --from 2026-03-01T14:05:00Z or --from-point <restore point>.',
      });
    }
    return withDatabase(options, async (client) => {
      const found = await diff(client, {
        table: table!,
        from,
        ...(to === undefined ? {} : { to }),
        ...(options.tenant === undefined ? {} : { tenant: options.tenant }),
        ...(key.length === 0 ? {} : { key }),
        ...(limit === undefined ? {} : { limit }),
        ...(after === undefined ? {} : { after }),
      });
      return finish(options, {
        items: found.differences,
        name: 'differences',
        head: { table: found.table, from: found.from, to: found.to, tenant: options.tenant ?? null },
        csv: {
          head: ['table', 'record', 'action', 'before', 'after'],
          fields: (d) => [d.table, d.record, d.action, d.before, d.after],
        },
        text: (differences) =>
          [
            `${bold(printable(found.table))} from ${short(found.from)} to ${short(found.to)}`,
            ...(differences.length === 0 ? ['No difference.'] : []),
            ...differences.flatMap((d) => [
              `  ${sign(d.action)} ${printable(d.record)}`,
              ...fieldLines(fieldsOf(d), d.action),
            ]),
          ].join('\n'),
      });
    });
  });
};

const fieldsOf = ({ columns, before, after }: Difference) =>
  columns.map((column) => ({ column, old: before?.[column] ?? null, new: after?.[column] ?? null }));
