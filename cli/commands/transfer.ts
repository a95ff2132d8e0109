import { parseMoment } from '../../core/moment.ts';
import { transferTenant } from '../../core/restore/transfer/transfer.ts';
import { handle, type Register } from '../command.ts';
import { stopOnSignal } from '../interrupt.ts';
import { nameList } from '../nameList.ts';
import { contextOf } from '../runtime.ts';
import { shellWord } from '../shellWord.ts';
import { transferReport } from '../transferReport.ts';

interface Options {
  readonly from: string;
  readonly into: string;
  readonly tables?: string;
  readonly except?: string;
  readonly at?: string;
  readonly point?: string;
  readonly backup?: string;
  readonly textKeyPrefix?: string;
  readonly asSystemAdministrator: boolean;
  readonly fireTriggers: boolean;
  readonly preview: boolean;
  readonly fingerprint?: string;
}

export const transferCommand: Register = (program) => {
  const command = program
    .command('transfer')
    .summary("a tenant's rows into another tenant, with new keys")
    .description(
      "Copies a tenant's rows into another tenant: keys are issued anew, references carried over, all of it or nothing. " +
        'For system administrators.',
    )
    .requiredOption('--from <tenant>', 'whose rows are copied; it is only read')
    .requiredOption('--into <tenant>', 'who gets them')
    .option('--tables <names>', 'only these, separated by commas')
    .option('--except <names>', 'all but these')
    .option('--at <time>', 'as they were then; default: as they are now')
    .option('--point <name>', 'as they were at a restore point')
    .option('-p, --backup <id>', 'as a backup has them')
    .option('--text-key-prefix <text>', 'put in front of text keys that nothing else makes unique')
    .option('--as-system-administrator', 'say that you are one; the database checks it', false)
    .option('--fire-triggers', "let the application's own triggers fire instead of suspending them", false)
    .option('--preview', 'do it all, show it, and roll it back', false)
    .option('--fingerprint <hex>', 'of a preview: refuse if anything has moved since');
  handle<Options>(command, async (options) => {
    const context = await contextOf(options, 'database');
    stopOnSignal('A copy is done whole or not at all: preview it to see whether anything is there.');
    const started = performance.now();
    const result = await transferTenant(context, {
      from: options.from,
      into: options.into,
      asSystemAdministrator: options.asSystemAdministrator,
      preview: options.preview,
      userTriggers: options.fireTriggers ? 'fire' : 'suspend',
      ...(options.tables === undefined ? {} : { tables: nameList(options.tables) }),
      ...(options.except === undefined ? {} : { except: nameList(options.except) }),
      ...(options.at === undefined ? {} : { moment: parseMoment(options.at) }),
      ...(options.point === undefined ? {} : { restorePoint: options.point }),
      ...(options.backup === undefined ? {} : { backup: options.backup }),
      ...(options.textKeyPrefix === undefined ? {} : { textKeyPrefix: options.textKeyPrefix }),
      ...(options.fingerprint === undefined ? {} : { fingerprint: options.fingerprint }),
    });
    return transferReport(result, performance.now() - started, again(options));
  });
};

function again(options: Options): string {
  const given = [
    ['--from', options.from],
    ['--into', options.into],
    ['--tables', options.tables],
    ['--except', options.except],
    ['--at', options.at],
    ['--point', options.point],
    ['--backup', options.backup],
    ['--text-key-prefix', options.textKeyPrefix],
  ] as const;
  const words = given.flatMap(([option, value]) => (value === undefined ? [] : [option, shellWord(value)]));
  const flags = [
    ...(options.fireTriggers ? ['--fire-triggers'] : []),
    ...(options.asSystemAdministrator ? ['--as-system-administrator'] : []),
  ];
  return ['holdfast', 'transfer', ...words, ...flags].join(' ');
}
