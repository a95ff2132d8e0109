import { activity } from '../../core/history/travel/activity.ts';
import type { ChangeRead } from '../../core/history/travel/types.ts';
import { handle, type Register } from '../command.ts';
import { clip, dim, table as textTable } from '../output.ts';
import { withDatabase } from '../runtime.ts';
import { finish } from '../travel/finish.ts';
import { declareOutput, type OutputOptions, outputOf, whenOf } from '../travel/options.ts';
import { short } from '../travel/show.ts';

interface Options extends OutputOptions {
  readonly user?: string;
  readonly from?: string;
  readonly to?: string;
  readonly tenant?: string;
  readonly table?: string;
}

export const activityCommand: Register = (program) => {
  const command = program
    .command('activity')
    .summary('what a user did')
    .description('Lists changes, newest first: of one user, or of everyone; in one tenant or table, or in all.')
    .option('--user <id>', 'as the application names its users in holdfast.set_actor; default: everyone')
    .option('--from <time>', 'committed after this moment; default: where history begins')
    .option('--to <time>', 'committed by this moment; default: now')
    .option('-t, --tenant <id>', 'only changes of this tenant’s rows')
    .option('--table <name>', 'only this table');
  handle<Options>(declareOutput(command), async (options) => {
    const { limit, after } = outputOf(options);
    const from = whenOf(options.from, undefined, ['--from', '']);
    const to = whenOf(options.to, undefined, ['--to', '']);
    return withDatabase(options, async (client) => {
      const found = await activity(client, {
        ...(options.user === undefined ? {} : { user: options.user }),
        ...(from === undefined ? {} : { from }),
        ...(to === undefined ? {} : { to }),
        ...(options.tenant === undefined ? {} : { tenant: options.tenant }),
        ...(options.table === undefined ? {} : { table: options.table }),
        ...(limit === undefined ? {} : { limit }),
        ...(after === undefined ? {} : { after }),
      });
      return finish(options, {
        items: found.changes,
        name: 'changes',
        head: { user: options.user ?? null, tenant: options.tenant ?? null, from: found.from, to: found.to },
        csv: {
          head: [
            'committed_at',
            'user_id',
            'user_email',
            'session_id',
            'ip',
            'tenant',
            'table',
            'record',
            'action',
            'changes',
          ],
          fields: (c) => [
            c.committedAt,
            c.who.userId,
            c.who.email,
            c.who.sessionId,
            c.who.ip,
            c.tenant,
            c.table,
            c.record,
            c.action,
            c.fields,
          ],
        },
        text: (changes) =>
          [
            changes.length === 0
              ? 'No change.'
              : textTable(
                  ['committed', 'user', 'tenant', 'action', 'table', 'record', 'columns'],
                  changes.map((c) => [
                    short(c.committedAt),
                    c.who.userId === null ? null : clip(c.who.userId, 36),
                    c.tenant === null ? null : clip(c.tenant, 36),
                    c.action,
                    c.table,
                    c.record === null ? null : clip(c.record, 40),
                    columnsOf(c),
                  ]),
                ),
            dim(`from ${short(found.from)} to ${short(found.to)}`),
          ].join('\n'),
      });
    });
  });
};

/** An insert and a delete are of the whole row. */
const columnsOf = ({ action, fields }: ChangeRead): string =>
  action === 'update' ? clip(fields.map((f) => f.column).join(', '), 48) : '(row)';
