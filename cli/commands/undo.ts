import type { UndoRequest } from '../../core/restore/undo/types.ts';
import { applyUndo, previewUndo } from '../../core/restore/undo/undo.ts';
import { handle, type Register } from '../command.ts';
import { stopOnSignal } from '../interrupt.ts';
import { policyOf } from '../requestArguments.ts';
import { contextOf } from '../runtime.ts';
import { shellWord } from '../shellWord.ts';
import { choicesOf, type ScopeOptions, scopeOf } from '../undoArguments.ts';
import { undoReport } from '../undoReport.ts';

interface Options extends ScopeOptions {
  readonly tenant: string;
  readonly policy: string;
  readonly choose: readonly string[];
  readonly choices?: string;
  readonly includeOffered: boolean;
  readonly preview: boolean;
  readonly fingerprint?: string;
  readonly fireTriggers: boolean;
  readonly by?: string;
}

const gather = (value: string, before: readonly string[] = []): string[] => [...before, value];

export const undoCommand: Register = (program) => {
  const command = program
    .command('undo [table] [key...]')
    .summary('a field, a record, a session, a user’s changes; later edits stay')
    .description(
      'Undoes what was done in one tenant. A session, a user’s changes or transactions are undone field by field, and what others ' +
        'did later stays. A table and key (or a table, or neither) go back to a moment, with whatever was done since. ' +
        'A key of several columns takes a value for each, in order or as column=value.',
    )
    .requiredOption('-t, --tenant <id>', 'the tenant')
    .option('--session <id>', 'what was done in a session')
    .option('--user <id>', 'what a user did since --since or --point')
    .option('--transactions <xids>', 'what transactions wrote, such as another undo; separated by commas')
    .option('--tables <names>', 'of these, only in these tables')
    .option('--record <key>', 'a further record of the table; may be repeated', gather)
    .option('--columns <names>', 'only these fields of the records')
    .option('--to <time>', 'back to this moment: ISO 8601, to the microsecond, UTC unless it has an offset')
    .option('--since <time>', 'the same, for --user')
    .option('--point <name>', 'a restore point instead of a time')
    .option('--policy <policy>', 'where later edits are in the way: refuse, skip, force', 'refuse')
    .option('--choose <field=take>', 'decide one conflict: schema.table.key.column=base, theirs or current', gather, [])
    .option('--choices <file>', 'the same, as a JSON array of {table, record, column, take}')
    .option('--include-offered', 'with the records that the undo needs', false)
    .option('--preview', 'do it all, show it, and roll it back', false)
    .option('--fingerprint <hex>', 'of a preview: refuse if anything has moved since')
    .option('--fire-triggers', "let the application's own triggers fire instead of suspending them", false)
    .option('--by <user>', 'who undoes it, for the trail');
  handle<Options>(command, async (options, table, ...rest) => {
    const key = rest.flat().filter((part) => part !== undefined);
    const choices = await choicesOf(options.choose, options.choices);
    const request: UndoRequest = {
      tenant: options.tenant,
      scope: scopeOf(options, table, key),
      policy: policyOf(options.policy),
      userTriggers: options.fireTriggers ? 'fire' : 'suspend',
      ...(choices.length > 0 ? { choices } : {}),
      ...(options.includeOffered ? { include: 'offered' as const } : {}),
      ...(options.by === undefined ? {} : { actor: { userId: options.by, userAgent: 'holdfast undo' } }),
    };
    const context = await contextOf(options, 'database');
    stopOnSignal('An undo is done whole or not at all: preview it to see whether anything is left to do.');
    const started = performance.now();
    const plan = options.preview
      ? await previewUndo(context, request)
      : await applyUndo(context, { ...request, ...(options.fingerprint ? { fingerprint: options.fingerprint } : {}) });
    return undoReport(plan, performance.now() - started, (added) => again(options, added, table, key));
  });
};

/** The command line that was given, less what concerns a preview. */
function again(options: Options, added: readonly string[], table: string | undefined, key: readonly string[]): string {
  const words = ['holdfast', 'undo', '-t', options.tenant];
  const pairs: [string, string | undefined][] = [
    ['--session', options.session],
    ['--user', options.user],
    ['--transactions', options.transactions],
    ['--tables', options.tables],
    ['--columns', options.columns],
    ['--to', options.to],
    ['--since', options.since],
    ['--point', options.point],
    ['--policy', options.policy === 'refuse' ? undefined : options.policy],
    ['--choices', options.choices],
    ['--by', options.by],
    ...(options.record ?? []).map((value): [string, string] => ['--record', value]),
    ...options.choose.map((value): [string, string] => ['--choose', value]),
  ];
  for (const [option, value] of pairs) if (value !== undefined) words.push(option, value);
  if (options.includeOffered) words.push('--include-offered');
  if (options.fireTriggers) words.push('--fire-triggers');
  words.push(...added);
  if (table !== undefined) words.push(...(key.some((k) => k.startsWith('-')) ? ['--'] : []), table, ...key);
  return words.map(shellWord).join(' ');
}
