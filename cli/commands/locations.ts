import { systemClock } from '../../adapters/local/systemClock.ts';
import type { LocationSetting } from '../../core/datamap/locations.ts';
import { HoldfastError } from '../../core/errors.ts';
import { writeCheck } from '../../core/locations/checkRecord.ts';
import { wantedAt } from '../../core/locations/select.ts';
import { type LocationStatus, locationStatus, type Primary, readPrimary } from '../../core/locations/status.ts';
import { type ThreeTwoOne, threeTwoOne } from '../../core/locations/threeTwoOne.ts';
import { verifyStore } from '../../core/locations/verifyStore.ts';
import type { ObjectStore, Trust } from '../../core/ports.ts';
import { handle, type Register } from '../command.ts';
import { stopOnSignal, stoppable } from '../interrupt.ts';
import { locationNamed } from '../locations.ts';
import { bold, bytes, count, duration, green, red, table, yellow } from '../output.ts';
import { progressBar } from '../progressBar.ts';
import { type GlobalOptions, problem, type Report } from '../report.ts';
import { openKeys, openObjectStore, settingsOf } from '../runtime.ts';

interface Options extends GlobalOptions {
  readonly publicKey?: string;
}

export const locationsCommand: Register = (program) => {
  const group = program
    .command('locations')
    .summary('where copies are, how far behind, whether 3-2-1 is kept')
    .description(
      'Says what each location has, how far it is behind, what locks it, when it was last verified; and whether there are three ' +
        'copies on two kinds of media, one of them off-site. Exit code 1 when there are not, or something is wrong.',
    )
    .option('--public-key <file>', 'trust these signing keys; then no key file is needed');
  handle<Options>(group, async (options) => {
    const settings = await settingsOf(options);
    const { trust } = await openKeys(settings, options);
    const [home, ...others] = settings.locations;
    const source = await openObjectStore(home!.store);
    const { status, primary } = await ofPrimary(home!, source, trust);
    const all = [status];
    for (const location of others) {
      const store = await openObjectStore(location.store, location.lock);
      const wanted =
        location.retention && (await wantedAt(source, trust, primary, location.retention, systemClock.now()));
      all.push(await locationStatus(location, store, trust, primary, wanted));
    }
    return reportOf(all, threeTwoOne(all));
  });

  const verifying = group
    .command('verify [name]')
    .description(
      'Reads every byte of a location, holds it against its signatures, and notes there when it did. Default: the primary.',
    )
    .option('--no-note', 'do not note it there, as with rights to read only');
  handle<Options & { note: boolean }>(verifying, (options, name) => verify(options, name ?? 'primary'));
};

/** The primary may be what was lost; the others are then worth all the more. */
async function ofPrimary(
  home: LocationSetting,
  store: ObjectStore,
  trust: Trust,
): Promise<{ status: LocationStatus; primary: Primary }> {
  let primary: Primary = { storeId: undefined, refs: [], files: [], reaches: undefined };
  try {
    primary = await readPrimary(store, trust);
  } catch (error) {
    if (!(error instanceof HoldfastError)) throw error; // `locationStatus` meets it again, and says so
  }
  return { status: await locationStatus(home, store, trust, primary), primary };
}

function reportOf(locations: readonly LocationStatus[], rule: ThreeTwoOne): Report {
  const rows = locations.map((l) => [
    l.name,
    l.kind,
    `${l.medium}, ${l.site}`,
    l.state,
    l.backups,
    l.secondsBehind === undefined ? '-' : behind(l),
    l.lock ? `${l.lock.mode}${l.lock.until ? ` to ${l.lock.until.slice(0, 10)}` : ''}` : '-',
    l.verified ? `${l.verified.at.slice(0, 10)}${l.verified.signed ? '' : ' (unsigned)'}` : 'never',
  ]);
  const lines = [
    table(['location', 'kind', 'medium, site', 'state', 'backups', 'behind', 'lock', 'verified'], rows),
    ...locations.flatMap((l) => (l.problem ? [`${l.name}: ${problem(l.problem.code, l.problem.message)}`] : [])),
    '',
    `${rule.ok ? green('3-2-1 is kept') : red('3-2-1 is not kept')}: ${count(rule.copies, 'copy', 'copies')} with the database, on ${rule.media.join(' and ')}, off-site: ${rule.offSite.join(', ') || 'none'}`,
    ...rule.uncounted.map(({ location, because }) => yellow(`not counted: ${location}, because ${because}`)),
    ...rule.missing.map((missing) => `needed: ${missing}`),
  ];
  const broken = locations.some(({ state, verified }) => state === 'broken' || (verified?.faults ?? 0) > 0);
  return { json: { locations, threeTwoOne: rule }, text: lines.join('\n'), exitCode: rule.ok && !broken ? 0 : 1 };
}

function behind({ missing, secondsBehind = 0, files }: LocationStatus): string {
  const parts = [
    ...(missing > 0 ? [`${count(missing, 'backup')}, ${duration(secondsBehind * 1000, 0)}`] : []),
    ...(files && files.missing > 0 ? [count(files.missing, 'backup of files', 'backups of files')] : []),
  ];
  return parts.join('; ') || 'no';
}

async function verify(options: Options & { note: boolean }, name: string): Promise<Report> {
  stopOnSignal('Nothing was changed; verify again from the beginning.');
  const settings = await settingsOf(options);
  const { store: place, lock } = locationNamed(settings, name);
  const { keys, persons, trust } = await openKeys(settings, options);
  const store = await openObjectStore(place, lock);
  const progress = stoppable(progressBar(!options.json && !options.quiet));
  const verdict = await verifyStore({ store, trust, keys, persons, progress });
  if (options.note) await writeCheck({ store, clock: systemClock, keys }, verdict);
  const { faults, backups, objects, documents, unproven, files } = verdict;
  const lines = [
    ...faults.map(({ code, message }) => problem(code, message)),
    ...(unproven
      ? [yellow(`note: ${count(unproven, 'tenant key')} could not be opened here, so only form and place were checked`)]
      : []),
    ...(files.unproven
      ? [
          yellow(
            `note: ${count(files.unproven, 'content')} of files could not be opened here, so only form was checked`,
          ),
        ]
      : []),
    `${faults.length ? red(count(faults.length, 'fault')) : green('Sound')}: ${bold(name)}, ${count(backups, 'backup')}, ${count(objects, 'object')} (${bytes(verdict.bytes)}), ${count(documents, 'document')}${files.runs ? `, ${count(files.runs, 'backup of files', 'backups of files')} with ${count(files.contents, 'content')}` : ''}`,
  ];
  return { json: { location: name, ...verdict }, text: lines.join('\n'), exitCode: faults.length ? 1 : 0 };
}
