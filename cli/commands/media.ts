import { exportMedia } from '../../core/locations/media/export.ts';
import { importMedia } from '../../core/locations/media/import.ts';
import { verifyMedia } from '../../core/locations/media/verify.ts';
import { parseMoment } from '../../core/moment.ts';
import { handle, type Register } from '../command.ts';
import { stopOnSignal, stoppable } from '../interrupt.ts';
import { locationNamed, refuseOverlap, trustOf } from '../locations.ts';
import { bold, bytes, count, green, printable, red, yellow } from '../output.ts';
import { progressBar } from '../progressBar.ts';
import { filesLines, hasFaults } from '../replicationReport.ts';
import { type GlobalOptions, problem } from '../report.ts';
import { contextOf, openKeys, openObjectStore, settingsOf, storeLocation } from '../runtime.ts';

interface ExportOptions extends GlobalOptions {
  readonly to: string;
  readonly tenant?: string;
  readonly since?: string;
  readonly label?: string;
}

export const mediaCommand: Register = (program) => {
  const group = program
    .command('media')
    .summary('copies to take away: export, verify, import')
    .description('Exports backups to media that are taken away, verifies them anywhere, and brings them back.');

  const exporting = group
    .command('export')
    .description('Writes backups, with all that they stand on, and a signed manifest. Keys are never on the media.')
    .requiredOption('--to <directory>', 'where the media are mounted, or the name of a tertiary location')
    .option('-t, --tenant <id>', "only this tenant's own backups; default: all")
    .option('--since <time>', 'only backups that were finished since then, and what they stand on')
    .option('--label <text>', 'what is written on the outside, such as the number of a tape');
  handle<ExportOptions>(exporting, async (options) => {
    const context = await contextOf(options, 'store');
    const settings = await settingsOf(options);
    const place = settings.locations.some(({ name }) => name === options.to)
      ? locationNamed(settings, options.to, 'tertiary').store
      : storeLocation(options.to, '.');
    await refuseOverlap(settings.store, place);
    stopOnSignal('The media are not complete, and are known not to be: run the same command again and it goes on.');
    const report = await exportMedia({
      ...context,
      media: await openObjectStore(place),
      tenant: options.tenant,
      since: options.since === undefined ? undefined : parseMoment(options.since),
      label: options.label,
    });
    const { copied, files, fileCount, totalBytes, backups, withheld, faults } = report;
    const lines = [
      `${bold('Exported')} ${count(copied.length, 'backup')} (${bytes(report.bytes)}) to ${report.to}`,
      `the media hold ${count(backups.length, 'backup')} in ${count(fileCount, 'file')}, ${bytes(totalBytes)}; signed in ${report.manifest}`,
      ...filesLines(files),
      ...faults.map(({ code, message }) => problem(code, message)),
      ...withheld.map(({ id, code, message }) => problem(code, `${id} was not exported: ${message}`)),
      `Check them where they are kept: holdfast media verify ${place}`,
    ];
    return { json: report, text: lines.join('\n'), exitCode: hasFaults(report) ? 1 : 0 };
  });

  const verifying = group
    .command('verify <directory>')
    .description('Reads every byte of media and holds it against their manifest. Needs no network and no database.')
    .option('--public-key <file>', 'trust these signing keys; then neither holdfast.yaml nor a key file is needed');
  handle<GlobalOptions & { publicKey?: string }>(verifying, async (options, directory) => {
    stopOnSignal('Nothing was changed; verify again from the beginning.');
    const { publicKey } = options;
    const trust =
      publicKey === undefined ? (await openKeys(await settingsOf(options), {})).trust : await trustOf(publicKey);
    const progress = stoppable(progressBar(!options.json && !options.quiet));
    const media = await openObjectStore(storeLocation(directory!, '.'));
    const { manifest, faults, extra, bytes: size } = await verifyMedia({ media, trust, progress });
    const { store, createdAt, label, tenant, backups, signature } = manifest;
    const lines = [
      ...faults.map(({ code, message }) => problem(code, message)),
      ...extra.map((name) => yellow(`note: the manifest does not name ${printable(name)}; nothing reads it`)),
      `${label === null ? '' : `${bold(printable(label))}: `}${tenant === null ? 'all tenants' : `tenant ${printable(tenant)}`}, ${count(backups.length, 'backup')}, ${bytes(size)}, written ${createdAt.slice(0, 19)}Z, signed by ${signature.keyId}`,
      faults.length ? red(count(faults.length, 'fault')) : `${green('Sound')}: every byte is what was written.`,
    ];
    return {
      json: {
        store,
        createdAt,
        label,
        tenant,
        backups,
        signedBy: signature.keyId,
        files: manifest.files.length,
        bytes: size,
        faults,
        extra,
      },
      text: lines.join('\n'),
      exitCode: faults.length ? 1 : 0,
    };
  });

  const importing = group
    .command('import <directory>')
    .description(
      'Verifies media, then brings their backups into the store: an empty one, or the one that they came from.',
    );
  handle(importing, async (options, directory) => {
    const context = await contextOf(options, 'store');
    const place = storeLocation(directory!, '.');
    await refuseOverlap((await settingsOf(options)).store, place);
    stopOnSignal('What was brought in is whole; run the same command again for the rest.');
    const report = await importMedia({ ...context, media: await openObjectStore(place) });
    const { copied, present, withheld, faults, files } = report;
    const lines = [
      `${bold('Imported')} ${count(copied.length, 'backup')} (${bytes(report.bytes)}) into ${report.to}; ${count(present, 'backup')} ${present === 1 ? 'was' : 'were'} there`,
      ...filesLines(files),
      ...faults.map(({ code, message }) => problem(code, message)),
      ...withheld.map(({ id, code, message }) => problem(code, `${id} was not imported: ${message}`)),
      'Next: holdfast catalog rebuild, where the database is there; or holdfast restore-database.',
    ];
    return { json: report, text: lines.join('\n'), exitCode: hasFaults(report) ? 1 : 0 };
  });
};
