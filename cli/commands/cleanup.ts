import { ConfigError } from '../../core/errors.ts';
import { cleanup } from '../../core/snapshot/cleanup.ts';
import { handle, type Register } from '../command.ts';
import { bold, bytes, red, table, yellow } from '../output.ts';
import { contextOf, settingsOf } from '../runtime.ts';

export const cleanupCommand: Register = (program) => {
  const command = program
    .command('cleanup')
    .description('remove what retention gives up; never what a kept backup needs, a lock or a legal hold protects')
    .option('-t, --tenant <id>', "only this tenant's own backups; default: all")
    .option('--retention-days <n>', 'keep everything of so many days; default: the retention of holdfast.yaml')
    .option('--preview', 'only say what would go, and why the rest stays', false);
  handle<{ tenant?: string; retentionDays?: string; preview: boolean }>(command, async (options) => {
    const days = options.retentionDays === undefined ? undefined : Number(options.retentionDays);
    if (days !== undefined && !(Number.isInteger(days) && days > 0)) {
      throw new ConfigError(
        'HF_ARGUMENT_INVALID',
        `--retention-days takes a whole number of days, not "${options.retentionDays}".`,
        {
          action: 'Pass for example --retention-days 30.',
        },
      );
    }
    const context = await contextOf(options, 'store');
    const { retention } = await settingsOf(options);
    const { daily, weekly, monthly } = retention;
    const report = await cleanup(context, {
      preview: options.preview,
      policy: { rules: [{ daily, weekly, monthly }], everyMomentForDays: daily },
      ...(options.tenant ? { tenant: options.tenant } : {}),
      ...(days === undefined ? {} : { retentionDays: days }),
    });
    const freed = [...report.remove, ...report.leftovers].reduce((sum, r) => sum + r.bytes, 0);
    const verb = options.preview ? 'Would remove' : 'Removed';
    const lines = [
      ...(report.keep.length
        ? [
            table(
              ['kept', 'because'],
              report.keep.map((k) => [k.id, k.reasons.join('; ')]),
            ),
          ]
        : []),
      ...(report.remove.length
        ? [
            table(
              [verb.toLowerCase(), 'because'],
              report.remove.map((r) => [r.id, r.reason]),
            ),
          ]
        : []),
      ...report.leftovers.map(
        (l) => `${verb.toLowerCase()} ${l.objects} leftover objects of ${l.id}, a run that was interrupted`,
      ),
      ...report.refused.map((r) => yellow(`kept ${r.id}: ${r.code} ${r.message}`)),
      ...report.damaged.map((d) => red(`${d.code} ${d.object}: cannot be read; it and its objects stay`)),
      `${bold(verb)} ${report.remove.length} backups, ${bytes(freed)}; ${report.keep.length} stay.`,
    ];
    return { json: report, text: lines.join('\n'), exitCode: report.refused.length + report.damaged.length ? 1 : 0 };
  });
};
