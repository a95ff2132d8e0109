import type { LocationSetting } from '../../core/datamap/locations.ts';
import type { Settings } from '../../core/datamap/settings.ts';
import { ConfigError } from '../../core/errors.ts';
import { cleanup } from '../../core/snapshot/cleanup.ts';
import { positiveInteger } from '../arguments.ts';
import { handle, type Register } from '../command.ts';
import { locationNamed } from '../locations.ts';
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
    .option(
      '--location <name>',
      'at this location of holdfast.yaml, by its retention, instead of the store; the database is not asked',
    )
    .option('--retention-days <n>', 'keep everything of so many days; default: the retention of holdfast.yaml')
    .option('--preview', 'only say what would go, and why the rest stays', false);
  handle<{ tenant?: string; retentionDays?: string; preview: boolean }>(command, async (options) => {
    const days =
      options.retentionDays === undefined ? undefined : positiveInteger(options.retentionDays, '--retention-days');
    const context = await contextOf(options, 'store');
    const settings = await settingsOf(options);
    const own = options.location === undefined || days !== undefined;
    const retention = own ? settings.retention : retentionOf(settings, options.location!);
    const { daily, weekly, monthly } = retention;
    // The catalog tells of the store: what is gone from another location has not expired.
    const { databaseUrl: _, ...storeOnly } = context;
    const report = await cleanup(options.location === undefined ? context : storeOnly, {
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

/** What a location keeps; without a rule of its own, whatever was copied there stays. */
function retentionOf(settings: Settings, name: string): NonNullable<LocationSetting['retention']> {
  const { retention } = locationNamed(settings, name);
  if (retention) return retention;
  throw new ConfigError('HF_LOCATION_KEEPS', `Location "${name}" has no retention: it keeps what is copied there.`, {
    action: 'Write "retention:" for it in holdfast.yaml, or pass --retention-days.',
    details: { location: name },
  });
}
