import { ConfigError } from '../../core/errors.ts';
import { parseMoment } from '../../core/moment.ts';
import { restoreTenant } from '../../core/restore/tenant.ts';
import { handle, type Register } from '../command.ts';
import { restoreReport } from '../restoreReport.ts';
import { contextOf } from '../runtime.ts';

interface Options {
  tenant: string;
  targetTime?: string;
  point?: string;
  preview: boolean;
  fingerprint?: string;
  fireTriggers: boolean;
}

export const pointInTimeRecoveryCommand: Register = (program) => {
  const command = program
    .command('point-in-time-recovery')
    .alias('pitr')
    .description('bring one tenant of the live database back to a moment; other tenants keep writing')
    .requiredOption('-t, --tenant <id>', 'the tenant')
    .option('--target-time <time>', 'ISO 8601, to the microsecond, UTC unless it has an offset')
    .option('--point <name>', 'a restore point instead of a time')
    .option('--preview', 'do it all, show it, and roll it back', false)
    .option('--fingerprint <hex>', 'of a preview: refuse if anything has moved since')
    .option('--fire-triggers', "let the application's own triggers fire instead of suspending them", false);
  handle<Options>(command, async (options) => {
    if ((options.targetTime === undefined) === (options.point === undefined)) {
      throw new ConfigError('HF_TARGET_MISSING', 'Say where to go back to, once.', {
        action: 'Pass either --target-time 2026-03-01T14:05:00Z or --point <restore point>.',
      });
    }
    const context = await contextOf(options, 'database');
    const started = performance.now();
    const result = await restoreTenant(context, {
      tenant: options.tenant,
      preview: options.preview,
      userTriggers: options.fireTriggers ? 'fire' : 'suspend',
      ...(options.targetTime ? { moment: parseMoment(options.targetTime) } : {}),
      ...(options.point ? { restorePoint: options.point } : {}),
      ...(options.fingerprint ? { fingerprint: options.fingerprint } : {}),
    });
    return restoreReport(result, performance.now() - started);
  });
};
