/** File backups for a person. */
import type { FileBackupReport } from '../core/files/backup.ts';
import type { FileCheckReport } from '../core/files/check.ts';
import type { FileCleanupReport } from '../core/files/cleanup.ts';
import type { FileRestoreReport, RestoredFile } from '../core/files/restoreReport.ts';
import { bold, bytes, clip, count, dim, green, red, table, yellow } from './output.ts';
import { problem, type Report } from './report.ts';

/** Examples of one kind that a person is shown; `--json` has more. */
const SHOWN = 10;

export function backupReport(report: FileBackupReport): Report {
  const { manifest, missing, unread, unowned, contested, badNames, relisted } = report;
  const { totals } = manifest;
  const some = <T>(list: readonly T[], total: number, line: (item: T) => string) => [
    ...list.slice(0, SHOWN).map(line),
    ...(total > SHOWN ? [dim(`… ${count(total - SHOWN, 'more', 'more')}; --json names them`)] : []),
  ];
  const held = (good: boolean) => (good ? '; the last good content stays restorable' : '; no backup has it');
  const lines = [
    ...some(missing, totals.gone, (f) =>
      yellow(`missing ${f.set} ${clip(f.path, 80)} of ${f.tenant}${held(f.lastGood)}`),
    ),
    ...some(unread, unread.length, (f) => problem(f.code, `${clip(f.message, 200)}${held(f.lastGood)}`)),
    ...some(badNames, badNames.length, (f) => yellow(`unusable name ${clip(f.path, 80)} of ${f.tenant}: ${f.reason}`)),
    ...some(contested, contested.length, (f) =>
      yellow(`${clip(f.path, 80)} is named by ${f.tenant} and by ${f.other}`),
    ),
    ...some(unowned, totals.unowned, (f) =>
      yellow(`unowned ${f.set} ${clip(f.path, 80)} (${bytes(f.size)}): no row names it`),
    ),
    ...some(relisted, relisted.length, (f) => yellow(`${f.object}: ${f.code}; its files were read again`)),
    `${bold('File backup')} ${manifest.id}: ${count(totals.files, 'file')} of ${bytes(totals.bytes)}`,
    `${count(totals.read, 'file')} read, ${count(totals.stored, 'new content')} of ${bytes(totals.storedBytes)} stored`,
  ];
  const { signature: _, tenants, ...about } = manifest;
  const found = { missing, unread, unowned, contested, badNames, relisted };
  // Files that nobody owns are worth knowing of; they are no failure.
  const attention = missing.length + unread.length + badNames.length + contested.length + relisted.length;
  return {
    json: { ...about, tenants: Object.keys(tenants).length, ...found },
    text: lines.join('\n'),
    exitCode: attention > 0 ? 1 : 0,
  };
}

const ACTIONS: Readonly<Record<RestoredFile['action'], { preview: string; done: string }>> = {
  create: { preview: 'would be written', done: 'written' },
  replace: { preview: 'holds another content', done: 'replaced' },
  same: { preview: 'is there', done: 'was there' },
  contested: { preview: 'belongs to another tenant too', done: 'belongs to another tenant too' },
  unusable: { preview: 'cannot be a file there', done: 'cannot be a file there' },
  lost: { preview: 'its content is lost', done: 'its content is lost' },
};

/** @param replaced whether files with another content were replaced, or left */
export function restoreReport(report: FileRestoreReport, replaced: boolean): Report {
  const { files, failed, preview, tenant, moment } = report;
  const of = (action: RestoredFile['action']) => files.filter((f) => f.action === action);
  const notable = files.filter((f) => f.action !== 'same');
  const what = ({ action, at, reason, kept }: RestoredFile) => {
    if (!preview && action === 'replace' && !replaced) return 'left: holds another content';
    const text = ACTIONS[action][preview ? 'preview' : 'done'];
    return [
      text,
      at === undefined ? undefined : `as ${at}`,
      reason,
      kept === undefined ? undefined : `old one at ${kept}`,
    ]
      .filter(Boolean)
      .join('; ');
  };
  const lost = of('contested').length + of('unusable').length + of('lost').length;
  const lines = [
    ...(notable.length > 0
      ? [
          table(
            ['set', 'file', 'bytes', 'from', 'exact', ''],
            notable
              .slice(0, 5 * SHOWN)
              .map((f) => [
                f.set,
                clip(f.path, 60),
                f.size,
                'run' in f.from ? f.from.run : `version ${clip(f.from.version, 12)}`,
                f.certain ? 'yes' : 'last seen',
                what(f),
              ]),
          ),
        ]
      : []),
    ...(notable.length > 5 * SHOWN ? [dim(`… ${count(notable.length - 5 * SHOWN, 'more', 'more')}`)] : []),
    ...report.notes.map((note) => yellow(`note: ${note}`)),
    ...failed.map((f) => problem(f.code, f.message)),
    ...(report.lastGood > 0
      ? [yellow(`${count(report.lastGood, 'file')} gone or unreadable then; --last-good brings their last content`)]
      : []),
    ...(report.erased > 0 ? [dim(`${count(report.erased, 'file')} of erased persons cannot be read by anyone`)] : []),
    `${bold(preview ? 'Preview' : 'Restored')}: tenant ${tenant}, ${moment ?? 'newest run'}: ` +
      `${of('create').length} ${preview ? 'to write' : 'written'}, ${of('same').length} as they were, ` +
      `${of('replace').length} with another content${lost > 0 ? red(`, ${lost} that cannot be restored`) : ''}`,
  ];
  return { json: report, text: lines.join('\n'), exitCode: failed.length + lost > 0 ? 1 : 0 };
}

export function checkReport(report: FileCheckReport): Report {
  const { faults, runs, files, contents, deep, erased } = report;
  const lines = [
    ...faults.map((f) => problem(f.code, f.path === undefined ? f.message : `${f.path} of ${f.tenant}: ${f.message}`)),
    ...(erased > 0 ? [dim(`${count(erased, 'file')} of erased persons`)] : []),
    faults.length > 0
      ? red(`${count(faults.length, 'fault')} in ${count(runs.length, 'run')}.`)
      : `${green('Sound')}: ${count(runs.length, 'run')}, ${count(files, 'file')}, ${count(contents, 'content')}` +
        `${deep ? ', every byte read' : ', present in the right sizes; --deep reads every byte'}.`,
  ];
  return { json: report, text: lines.join('\n'), exitCode: faults.length > 0 ? 1 : 0 };
}

export function cleanupReport(report: FileCleanupReport): Report {
  const { keep, remove, objects, refused, preview } = report;
  const verb = preview ? 'would remove' : 'removed';
  const lines = [
    ...(keep.length > 0
      ? [
          table(
            ['kept', 'because'],
            keep.map((k) => [k.id, k.reasons.join('; ')]),
          ),
        ]
      : []),
    ...(remove.length > 0
      ? [
          table(
            [verb, 'because'],
            remove.map((r) => [r.id, r.reason]),
          ),
        ]
      : []),
    ...refused.slice(0, SHOWN).map((r) => yellow(`kept ${r.object}: ${r.code}`)),
    `${bold(verb)} ${count(remove.length, 'run')}, ${count(objects, 'object')} of ${bytes(report.bytes)}; ${keep.length} stay.`,
  ];
  return { json: report, text: lines.join('\n'), exitCode: refused.length > 0 ? 1 : 0 };
}
