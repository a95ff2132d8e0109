/** What a copy of a store came to, for a person. */
import type { ReplicationReport } from '../core/locations/replicate.ts';
import { bold, bytes, count, green, yellow } from './output.ts';
import { problem } from './report.ts';

export const hasFaults = ({ withheld, faults, files }: ReplicationReport): boolean =>
  withheld.length + faults.length + (files ? files.withheld.length + files.faults.length : 0) > 0;

/** Backups of users' files; no line where there was nothing to copy. */
export function filesLines(files: ReplicationReport['files']): string[] {
  if (!files) return [];
  const { runs, contents, bytes: size, unproven, withheld, faults } = files;
  return [
    `copied ${count(runs.length, 'backup of files', 'backups of files')}: ${count(contents, 'content')} (${bytes(size)})`,
    ...(unproven
      ? [yellow(`note: ${count(unproven, 'content')} could not be opened here, so only their form was checked`)]
      : []),
    ...faults.map(({ code, message }) => problem(code, message)),
    ...withheld.map(({ id, code, message }) => problem(code, `${id} was not copied: ${message}`)),
  ];
}

export function replicationLines(location: string, report: ReplicationReport): string[] {
  const { copied, present, documents, unproven, withheld, faults, files, to } = report;
  const repaired = copied.filter((c) => c.repaired).length;
  const lines = [
    `copied ${count(copied.length - repaired, 'backup')} (${bytes(report.bytes)}) and ${count(documents, 'document')}; ${count(present, 'backup')} ${present === 1 ? 'was' : 'were'} there`,
    ...(repaired ? [`put back what ${count(repaired, 'backup')} had lost there`] : []),
    ...(unproven
      ? [yellow(`note: ${count(unproven, 'tenant key')} could not be opened here, so only form and place were checked`)]
      : []),
    ...filesLines(files),
    ...faults.map(({ code, message }) => problem(code, message)),
    ...withheld.map(({ id, code, message }) => problem(code, `${id} was not copied: ${message}`)),
    ...(hasFaults(report) ? [] : [green('every byte that was copied is what was written')]),
  ];
  return [`${bold(location)} ${to}`, ...lines.map((line) => `  ${line}`)];
}
