/** Shows what a tenant restore does, or would do. */
import type { TenantRestoreResult } from '../core/restore/tenant.ts';
import { bold, dim, duration, green, red, table, yellow } from './output.ts';
import type { Report } from './report.ts';

export function restoreReport(result: TenantRestoreResult, milliseconds: number): Report {
  const { tables, totals } = result;
  const changed = Object.entries(tables).filter(([, c]) => c.inserted + c.updated + c.deleted > 0);
  const nothing = changed.length === 0;
  const lines = [
    `${bold(result.preview ? 'Preview' : 'Restored')}: tenant ${result.tenant} as of ${result.moment}, from ${
      result.source === 'live' ? 'the live tables and the trail' : `backups ${result.backups.join(', ')}`
    } (${duration(milliseconds)})`,
    nothing
      ? 'Nothing differs: the tenant is in that state already.'
      : table(
          ['table', 'insert', 'update', 'delete'],
          [...changed, ['total', totals] as const].map(([name, c]) => [name, c.inserted, c.updated, c.deleted]),
        ),
    ...result.samples.map((s) => dim(`  ${JSON.stringify(s)}`)),
    ...result.suspended.map((t) =>
      yellow(
        `trigger ${t.trigger} of ${t.table} ${result.preview ? 'would be' : 'was'} suspended inside the transaction`,
      ),
    ),
    ...result.violations.map((v) => `${red(bold(v.code))} ${v.message}\n    ${v.action}`),
  ];
  if (result.preview && !nothing && result.violations.length === 0) {
    lines.push(`To do exactly this: run it again without --preview and with --fingerprint ${result.fingerprint}`);
  }
  if (result.restorePoint)
    lines.push(
      `${green('To undo')}: holdfast point-in-time-recovery -t ${result.tenant} --point "${result.restorePoint}"`,
    );
  return {
    json: { ...result, milliseconds: Math.round(milliseconds) },
    text: lines.join('\n'),
    exitCode: result.violations.length ? 1 : 0,
  };
}
