import { doctor } from '../../core/datamap/doctor.ts';
import { checkIntegrity } from '../../core/datamap/integrity/integrity.ts';
import { readMap, readSettings } from '../../core/datamap/load.ts';
import { fileSetFindings } from '../../core/files/doctor.ts';
import { handle, type Register } from '../command.ts';
import { integrityReport } from '../integrityReport.ts';
import { bold, count, dim, green, red, yellow } from '../output.ts';
import { withDatabase } from '../runtime.ts';

interface Options {
  integrity?: boolean;
  try: boolean;
}

export const doctorCommand: Register = (program) => {
  const command = program
    .command('doctor')
    .summary('what is not protected, and how to mend it')
    .description(
      'Says what is not protected, not classified or not kept up, and how to mend it. Exit code 1 for an error.',
    )
    .option('--integrity', 'the rows too: orphans, missing keys, references into other tenants; mending SQL is tried')
    .option('--no-try', 'with --integrity: only print mending SQL');
  handle<Options>(command, async (options) => {
    const map = await readMap(options.config);
    if (options.integrity) {
      const trial = options.try ? {} : { trial: false as const };
      return integrityReport(await withDatabase(options, (client) => checkIntegrity(client, map, trial)));
    }
    const { files } = await readSettings(options.config);
    const findings = await withDatabase(options, async (client) => [
      ...(await doctor(client, map)),
      ...(await fileSetFindings(client, map, files)),
    ]);
    const errors = findings.filter((f) => f.severity === 'error');
    const lines = findings.flatMap((f) => [
      `${f.severity === 'error' ? red(bold('error')) : yellow('warning')} ${f.message} ${dim(f.code)}`,
      ...f.mend.split('\n').map((line) => `    ${line}`),
    ]);
    const verdict =
      findings.length === 0
        ? green('All is well.')
        : `${count(errors.length, 'error')}, ${count(findings.length - errors.length, 'warning')}.`;
    return {
      json: { ok: errors.length === 0, findings },
      text: [...lines, verdict].join('\n'),
      exitCode: errors.length === 0 ? 0 : 1,
    };
  });
};
