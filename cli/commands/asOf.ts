import { ConfigError } from '../../core/errors.ts';
import { stateAsOf } from '../../core/history/travel/stateAsOf.ts';
import type { Row } from '../../core/history/travel/types.ts';
import { handle, type Register } from '../command.ts';
import { bold, clip, printable, table as textTable, yellow } from '../output.ts';
import { withDatabase } from '../runtime.ts';
import { finish } from '../travel/finish.ts';
import { declareOutput, type OutputOptions, outputOf, whenOf } from '../travel/options.ts';
import { rowLines, short, textOf } from '../travel/show.ts';
import { tenantState } from '../travel/tenantState.ts';

interface Options extends OutputOptions {
  readonly at?: string;
  readonly point?: string;
  readonly tenant?: string;
}

const VALUE = 40;

export const asOfCommand: Register = (program) => {
  const command = program
    .command('as-of [table] [key...]')
    .summary('a table, a tenant or a record as it was')
    .description(
      'Shows rows as they were at a moment: of a table, of one tenant, or one record. What is shown for a moment never changes. ' +
        'Without a table it counts what a tenant had in each; with --jsonl it gives all of it.',
    )
    .option('--at <time>', 'ISO 8601, to the microsecond, UTC unless it has an offset')
    .option('--point <name>', 'a restore point instead of a time')
    .option('-t, --tenant <id>', 'only this tenant’s rows');
  handle<Options>(declareOutput(command), async (options, table, ...rest) => {
    const key = rest.flat().filter((part) => part !== undefined);
    const { limit, after } = outputOf(options);
    const at = whenOf(options.at, options.point, ['--at', '--point']);
    if (at === undefined) {
      throw new ConfigError('HF_TARGET_MISSING', 'Say when.', {
        action: 'Pass either --at 2026-03-01T14:05:00Z or --point <restore point>.',
      });
    }
    return withDatabase(options, async (client) => {
      if (table === undefined) return tenantState(client, options, at);
      const state = await stateAsOf(client, {
        table,
        at,
        ...(options.tenant === undefined ? {} : { tenant: options.tenant }),
        ...(key.length === 0 ? {} : { key }),
        ...(limit === undefined ? {} : { limit }),
        ...(after === undefined ? {} : { after }),
      });
      const note = state.lost.length
        ? [yellow(`note: columns that were dropped since are not shown: ${state.lost.map(printable).join(', ')}`)]
        : [];
      return finish(options, {
        items: state.rows,
        name: 'rows',
        head: {
          table: state.table,
          moment: state.moment,
          tenant: options.tenant ?? null,
          columns: state.columns,
          lost: state.lost,
        },
        csv: { head: state.columns, fields: (row) => state.columns.map((name) => row[name]) },
        text: (rows) =>
          [
            `${bold(printable(state.table))} as of ${short(state.moment)}`,
            ...note,
            rows.length === 0
              ? key.length === 0
                ? 'No rows.'
                : 'There was no such record.'
              : key.length > 0
                ? rowLines(rows[0]!, state.columns).join('\n')
                : readable(rows, state.columns),
          ].join('\n'),
      });
    });
  });
};

/** A table where it fits the terminal, else a paragraph for each row. */
function readable(rows: readonly Row[], columns: readonly string[]): string {
  const cells = rows.map((row) =>
    columns.map((name) => (row[name] === null ? null : clip(textOf(row[name]!)!, VALUE))),
  );
  const text = textTable(columns, cells);
  const width = process.stdout.isTTY ? process.stdout.columns : Number.POSITIVE_INFINITY;
  // Colour codes take no room: they are in the first line only.
  const fits = text
    .split('\n')
    .slice(1)
    .every((line) => line.length <= width);
  return fits ? text : rows.map((row) => rowLines(row, columns).join('\n')).join('\n\n');
}
