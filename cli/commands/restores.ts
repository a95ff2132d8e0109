import { applyRequest } from '../../core/restore/requests/apply.ts';
import { requestRestore } from '../../core/restore/requests/create.ts';
import { approveRequest, rejectRequest } from '../../core/restore/requests/decide.ts';
import { withRequests } from '../../core/restore/requests/session.ts';
import { listRequests, readRequest } from '../../core/restore/requests/store.ts';
import type { RestoreRequest } from '../../core/restore/requests/types.ts';
import { previewUndoOfRequest, undoRequest } from '../../core/restore/requests/undo.ts';
import { positiveInteger } from '../arguments.ts';
import { handle, type Register } from '../command.ts';
import { seconds } from '../duration.ts';
import { stopOnSignal } from '../interrupt.ts';
import { bold, count, printable } from '../output.ts';
import { type ByOption, declareBy } from '../person.ts';
import type { Report } from '../report.ts';
import { policyOf, type RequestOptions, requestedRestore } from '../requestArguments.ts';
import { requestList, requestText } from '../requestReport.ts';
import { contextOf } from '../runtime.ts';
import { violationLines } from '../violations.ts';

type Group = Parameters<Register>[0];

export const restoresCommand: Register = (program) => {
  const group = program
    .command('restores')
    .summary('restores that one person asks for and another approves')
    .description(
      'Restore requests: one person asks, another approves exactly what the preview showed, then it is applied, or refused if ' +
        'anything has moved. Every step is in the log.',
    );
  list(group);
  show(group);
  request(group);
  decide(group, 'approve');
  decide(group, 'reject');
  apply(group);
  undo(group);
};

const report = (r: RestoreRequest): Report => ({ json: { request: r }, text: requestText(r) });

function list(group: Group): void {
  const command = group
    .command('list')
    .description('all of them, newest first')
    .option('-t, --tenant <id>', 'those that write or copy this tenant')
    .option('--open', 'only those that wait for something', false)
    .option('--limit <n>', 'how many', '50');
  handle<{ tenant?: string; open: boolean; limit: string }>(command, async (options) => {
    const limit = positiveInteger(options.limit, '--limit');
    const context = await contextOf(options, 'database');
    const requests = await withRequests(context, (client) =>
      listRequests(client, {
        limit,
        ...(options.tenant === undefined ? {} : { tenant: options.tenant }),
        ...(options.open ? { states: ['requested', 'approved', 'running'] as const } : {}),
      }),
    );
    return { json: { requests }, text: requestList(requests) };
  });
}

function show(group: Group): void {
  const command = group.command('show <id>').description('one, with its path and what it would do');
  handle(command, async (options, id) => {
    const context = await contextOf(options, 'database');
    return report(await withRequests(context, (client) => readRequest(client, id!)));
  });
}

function request(group: Group): void {
  const command = declareBy(
    group
      .command('request')
      .description('previews a restore and asks for it')
      .requiredOption('-t, --tenant <id>', 'whose rows are restored')
      .requiredOption('--reason <text>', 'why, for who decides and for the log')
      .option('--target-time <time>', 'go back to this moment: ISO 8601, UTC unless it has an offset')
      .option('--point <name>', 'go back to a restore point')
      .option('-p, --backup <id>', 'go back to where a backup ends')
      .option('--session <id>', 'undo one session')
      .option('--user <id>', 'undo what one user did since --target-time or --point')
      .option('--transaction <xid>', 'undo transactions, separated by commas')
      .option('--table <name>', 'only this table goes back')
      .option('--record <key...>', 'with --table: only these records')
      .option('--columns <names>', 'with --record: only these fields')
      .option('--policy <policy>', 'where later edits are in the way of an undo: refuse, skip, force')
      .option('--include-offered', 'with the records that the undo needs', false)
      .option('--from <tenant>', 'copy the rows of this tenant, instead')
      .option('--tables <names>', 'with --session, --user, --transaction, --from: only these')
      .option('--except <names>', 'with --from: all but these')
      .option('--text-key-prefix <text>', 'with --from: put in front of text keys')
      .option('--as-system-administrator', 'with --from: say that you are one', false)
      .option('--maintenance', "refuse the application's writes to the tenant while it runs", false)
      .option('--expires <time>', 'how long it waits to be approved and applied', '24h'),
  );
  handle<RequestOptions & ByOption & { reason: string; maintenance: boolean; expires: string }>(
    command,
    async (options) => {
      const restore = requestedRestore(options);
      const expiresInSeconds = seconds(options.expires, '--expires');
      const context = await contextOf(options, 'database');
      const { by, reason, maintenance } = options;
      return report(await requestRestore(context, { restore, by, reason, maintenance, expiresInSeconds }));
    },
  );
}

function decide(group: Group, what: 'approve' | 'reject'): void {
  const command = declareBy(
    group
      .command(`${what} <id>`)
      .description(what === 'approve' ? 'by another person than the one who asked' : 'or withdraws')
      .option('--reason <text>', 'why'),
  );
  if (what === 'approve') command.option('--fingerprint <hex>', 'what was looked at');
  handle<ByOption & { reason?: string; fingerprint?: string }>(command, async (options, id) => {
    const context = await contextOf(options, 'database');
    const { by, reason, fingerprint } = options;
    const decision = {
      id: id!,
      by,
      ...(reason === undefined ? {} : { reason }),
      ...(fingerprint === undefined ? {} : { fingerprint }),
    };
    return report(await (what === 'approve' ? approveRequest : rejectRequest)(context, decision));
  });
}

function apply(group: Group): void {
  const command = declareBy(
    group
      .command('apply <id>')
      .description('does exactly what was approved')
      .option('--wait <time>', 'with maintenance: how long to wait for transactions that are writing', '10s'),
  );
  handle<ByOption & { wait: string }>(command, async (options, id) => {
    const wait = seconds(options.wait, '--wait') * 1000;
    const context = await contextOf(options, 'database');
    stopOnSignal('A restore applies whole or not at all: holdfast restores show tells which.');
    return report(await applyRequest(context, { id: id!, by: options.by, wait }));
  });
}

function undo(group: Group): void {
  const command = declareBy(
    group
      .command('undo <id>')
      .description('takes an applied restore back; what was edited since stays')
      .option('--reason <text>', 'why')
      .option('--policy <policy>', 'where later edits are in the way: refuse, skip, force', 'refuse')
      .option('--include-offered', 'with the records that the undo needs', false)
      .option('--preview', 'do it all, show it, and roll it back', false)
      .option('--fingerprint <hex>', 'of a preview: refuse if anything has moved since'),
  );
  type Options = ByOption & {
    reason?: string;
    policy: string;
    includeOffered: boolean;
    preview: boolean;
    fingerprint?: string;
  };
  handle<Options>(command, async (options, id) => {
    const how = {
      id: id!,
      policy: policyOf(options.policy),
      ...(options.includeOffered ? { include: 'offered' as const } : {}),
    };
    const context = await contextOf(options, 'database');
    if (options.preview) {
      const plan = await previewUndoOfRequest(context, how);
      const { inserted, updated, deleted } = plan.totals;
      const lines = [
        `${bold('Preview')}: undoing restore request ${printable(id)} would insert ${count(inserted, 'row')}, update ${updated}, delete ${deleted}.`,
        ...(plan.conflictCount > 0
          ? [`${count(plan.conflictCount, 'later edit')} would stay or be in the way; --json lists them.`]
          : []),
        ...violationLines(plan.violations),
        ...(plan.violations.length === 0 ? [`To do exactly this: --fingerprint ${plan.fingerprint}`] : []),
      ];
      return { json: plan, text: lines.join('\n'), exitCode: plan.violations.length > 0 ? 1 : 0 };
    }
    stopOnSignal('An undo is done whole or not at all: holdfast restores show tells which.');
    const { reason, fingerprint, by } = options;
    const { request: after, undo: result } = await undoRequest(context, {
      ...how,
      by,
      ...(reason === undefined ? {} : { reason }),
      ...(fingerprint === undefined ? {} : { fingerprint }),
    });
    return { json: { request: after, undo: result }, text: requestText(after) };
  });
}
