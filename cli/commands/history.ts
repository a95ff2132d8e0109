import { history } from '../../core/history/travel/history.ts';
import { handle, type Register } from '../command.ts';
import { bold, dim, printable } from '../output.ts';
import { withDatabase } from '../runtime.ts';
import { finish } from '../travel/finish.ts';
import { declareOutput, type OutputOptions, outputOf } from '../travel/options.ts';
import { fieldLines, movedLine, short, sign, who } from '../travel/show.ts';

interface Options extends OutputOptions {
  readonly tenant?: string;
}

export const historyCommand: Register = (program) => {
  const command = program
    .command('history <table> <key...>')
    .summary('what happened to one record')
    .description(
      'Shows every change of one record, newest first: when it was committed, by whom, what it was before and after. ' +
        'A key of several columns takes a value for each, in order or as column=value.',
    )
    .option('-t, --tenant <id>', 'only while it was this tenant’s');
  handle<Options>(declareOutput(command), async (options, table, ...rest) => {
    const key = rest.flat();
    const { limit, after } = outputOf(options);
    return withDatabase(options, async (client) => {
      const found = await history(client, {
        table: table!,
        key,
        ...(options.tenant === undefined ? {} : { tenant: options.tenant }),
        ...(limit === undefined ? {} : { limit }),
        ...(after === undefined ? {} : { after }),
      });
      return finish(options, {
        items: found.versions,
        name: 'versions',
        head: { table: found.table, record: found.record, begins: found.begins },
        csv: {
          head: ['committed_at', 'until', 'action', 'tenant', 'user_id', 'user_email', 'session_id', 'ip', 'changes'],
          fields: (v) => [
            v.committedAt,
            v.until,
            v.action,
            v.tenant,
            v.who.userId,
            v.who.email,
            v.who.sessionId,
            v.who.ip,
            v.fields,
          ],
        },
        text: (versions) =>
          [
            `${bold(printable(found.table))} ${printable(found.record)}`,
            ...versions.flatMap((v) => [
              `  ${sign(v.action)} ${short(v.committedAt)}  ${v.action}  ${who(v)}${movedLine(v)}`,
              ...fieldLines(v.fields, v.action),
            ]),
            ...(versions.length === 0 ? ['  no change'] : []),
            dim(`History begins at ${short(found.begins)}.`),
          ].join('\n'),
      });
    });
  });
};
