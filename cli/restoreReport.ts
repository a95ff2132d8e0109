/** Shows what a tenant restore does, or would do. */
import type { TenantRestoreResult } from '../core/restore/tenant.ts';
import { bold, count, duration, green, printable, table, yellow } from './output.ts';
import type { Report } from './report.ts';
import { rowSamples } from './rowSamples.ts';
import { shellWord } from './shellWord.ts';
import { violationLines } from './violations.ts';

/** @param again the command line that was given, without --preview: what to run to do it */
export function restoreReport(result: TenantRestoreResult, milliseconds: number, again: string): Report {
  const { tables, totals, preview } = result;
  const changed = Object.entries(tables).filter(([, c]) => c.inserted + c.updated + c.deleted > 0);
  const touched = (name: string) => {
    const { inserted, updated, deleted } = tables[name]!;
    return inserted + updated + deleted;
  };
  const source =
    result.source === 'live'
      ? 'the live tables and the trail'
      : `${count(result.backups.length, 'backup')}: ${result.backups.join(', ')}`;
  const lines = [
    `${bold(preview ? 'Preview' : 'Restored')}: tenant ${printable(result.tenant)} as of ${result.moment}  (${duration(milliseconds)})`,
    `from ${source}`,
    '',
    changed.length === 0
      ? 'Nothing differs: the tenant is in that state already.'
      : table(
          ['table', 'insert', 'update', 'delete'],
          [...changed, ...(changed.length > 1 ? [['total', totals] as const] : [])].map(([name, c]) => [
            name,
            c.inserted,
            c.updated,
            c.deleted,
          ]),
        ),
  ];
  if (preview) lines.push(...rowSamples(result.samples, result.tenant, touched));
  lines.push('');
  for (const { table: name, trigger } of result.suspended) {
    const would = preview ? 'would be' : 'was';
    lines.push(
      yellow(`note: trigger ${printable(trigger)} of ${printable(name)} ${would} suspended inside the transaction`),
    );
  }
  for (const name of result.excluded)
    lines.push(yellow(`note: ${printable(name)} stays as it is: the backups leave it out`));
  lines.push(...violationLines(result.violations));
  if (preview && changed.length > 0 && result.violations.length === 0) {
    lines.push('To do exactly this, and nothing if anything has moved since:', `  ${again} \\`);
    lines.push(`    --fingerprint ${result.fingerprint}`);
  }
  if (result.restorePoint) {
    lines.push(
      `${green('To undo')}: holdfast point-in-time-recovery -t ${shellWord(result.tenant)} --point ${shellWord(result.restorePoint)}`,
    );
  }
  while (lines.at(-1) === '') lines.pop();
  return {
    json: { ...result, milliseconds: Math.round(milliseconds) },
    text: lines.join('\n'),
    exitCode: result.violations.length ? 1 : 0,
  };
}
