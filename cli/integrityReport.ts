/** What the integrity advisor found, for a person and for a program. */
import type { IntegrityFinding, IntegrityReport, Mend } from '../core/datamap/integrity/types.ts';
import { bold, count, dim, green, printable, red, yellow } from './output.ts';
import type { Report } from './report.ts';

export function integrityReport(report: IntegrityReport): Report {
  const { findings, unchecked, checked } = report;
  const open = findings.filter((f) => f.severity !== 'advice');
  const lines = findings.flatMap(findingLines);
  for (const u of unchecked) lines.push(yellow(`not checked: ${u.what} (${u.table}): ${u.reason}`));
  const seen = `${count(checked, 'reference')} looked at`;
  lines.push(
    open.length === 0 && unchecked.length === 0
      ? green(`Nothing is open; ${seen}.`)
      : `${count(open.length, 'finding')} open, ${count(unchecked.length, 'check')} not made, ${seen}.`,
  );
  if (findings.some((f) => f.mends.some((m) => m.tried))) {
    lines.push(dim('"tried" means: run for real in a transaction that was rolled back. Nothing was changed.'));
  }
  return {
    json: { ok: open.length === 0, findings, unchecked, checked },
    text: lines.join('\n'),
    exitCode: open.length === 0 ? 0 : 1,
  };
}

const LABEL = { error: (t: string) => red(bold(t)), warning: yellow, advice: dim } as const;

function findingLines(finding: IntegrityFinding): string[] {
  const { severity, message, code, rows, mends } = finding;
  return [
    `${LABEL[severity](severity)} ${printable(message)} ${dim(code)}`,
    ...(rows.length > 0
      ? [`    rows: ${rows.map(printable).join(', ')}${(finding.count ?? 0) > rows.length ? ', …' : ''}`]
      : []),
    ...mends.flatMap((mend, i) => mendLines(mend, mends.length > 1 ? `${i + 1}. ` : '')),
  ];
}

function mendLines({ what, sql, tried }: Mend, number: string): string[] {
  const verdict =
    tried === undefined
      ? ''
      : tried.result === 'works'
        ? green('  tried: works')
        : tried.result === 'fails'
          ? red(`  tried: fails because ${printable(tried.reason)}`)
          : yellow(`  not tried: ${printable(tried.reason)}`);
  return [`    ${number}${what}${verdict}`, ...sql.map((statement) => `       ${statement};`)];
}
