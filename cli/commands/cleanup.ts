import { cleanup } from '../../core/snapshot/cleanup.ts';
import { positiveInteger } from '../arguments.ts';
import { handle, type Register } from '../command.ts';
import { bold, bytes, count, red, table, yellow } from '../output.ts';
import { contextOf, settingsOf } from '../runtime.ts';

export const cleanupCommand: Register = (program) => {
  const command = program
    .command('cleanup')
    .summary('remove what retention gives up')
    .description(
      'Removes what retention gives up; never what a kept backup needs, nor what a lock or a legal hold protects.',
    )
    .option('-t, --tenant <id>', "only this tenant's own backups; default: all")
    .option('--retention-days <n>', 'keep everything of so many days; default: the retention of holdfast.yaml')
    .option('--preview', 'only say what would go, and why the rest stays', false);
  handle<{ tenant?: string; retentionDays?: string; preview: boolean }>(command, async (options) => {
    const days =
      options.retentionDays === undefined ? undefined : positiveInteger(options.retentionDays, '--retention-days');
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
      `${bold(verb)} ${count(report.remove.length, 'backup')}, ${bytes(freed)}; ${report.keep.length} stay.`,
    ];
    return { json: report, text: lines.join('\n'), exitCode: report.refused.length + report.damaged.length ? 1 : 0 };
  });
};
