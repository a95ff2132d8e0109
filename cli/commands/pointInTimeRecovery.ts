import { ConfigError } from '../../core/errors.ts';
import { parseMoment } from '../../core/moment.ts';
import { handle, type Register } from '../command.ts';
import { declareTenantRestore, runTenantRestore, type TenantRestoreOptions } from '../tenantRestore.ts';

interface Options extends TenantRestoreOptions {
  readonly targetTime?: string;
  readonly point?: string;
}

export const pointInTimeRecoveryCommand: Register = (program) => {
  const command = program
    .command('point-in-time-recovery')
    .alias('pitr')
    .summary('one tenant, live, to a moment')
    .description('Brings one tenant of the live database back to a moment; other tenants keep writing.')
    .requiredOption('-t, --tenant <id>', 'the tenant')
    .option('--target-time <time>', 'ISO 8601, to the microsecond, UTC unless it has an offset')
    .option('--point <name>', 'a restore point instead of a time');
  handle<Options>(declareTenantRestore(command), async (options) => {
    const { targetTime, point } = options;
    if (targetTime !== undefined && point === undefined) {
      const words = ['point-in-time-recovery', '--target-time', targetTime];
      return runTenantRestore(options, { moment: parseMoment(targetTime) }, words);
    }
    if (point !== undefined && targetTime === undefined) {
      return runTenantRestore(options, { restorePoint: point }, ['point-in-time-recovery', '--point', point]);
    }
    throw new ConfigError('HF_TARGET_MISSING', 'Say where to go back to, once.', {
      action: 'Pass either --target-time 2026-03-01T14:05:00Z or --point <restore point>.',
    });
  });
};
