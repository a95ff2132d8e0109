import { systemClock } from '../../adapters/local/systemClock.ts';
import type { LocationSetting } from '../../core/datamap/locations.ts';
import { ConfigError } from '../../core/errors.ts';
import { type ReplicationReport, replicate } from '../../core/locations/replicate.ts';
import { keptBy } from '../../core/locations/select.ts';
import type { KeyService, ObjectStore, PersonKeyStore, Trust } from '../../core/ports.ts';
import { holdsInStore } from '../../core/snapshot/legalHold.ts';
import { handle, type Register } from '../command.ts';
import { stopOnSignal, stoppable } from '../interrupt.ts';
import { locationNamed, refuseOverlap, trustOf } from '../locations.ts';
import { progressBar } from '../progressBar.ts';
import { hasFaults, replicationLines } from '../replicationReport.ts';
import type { GlobalOptions, Report } from '../report.ts';
import { openKeys, openObjectStore, settingsOf, storeLocation } from '../runtime.ts';

interface Options extends GlobalOptions {
  readonly pull: boolean;
  readonly from?: string;
  readonly to?: string;
  readonly publicKey?: string;
}

/** One copy to be made. */
interface Way {
  readonly name: string;
  readonly source: ObjectStore;
  readonly target: ObjectStore;
  readonly trust: Trust;
  readonly keys?: KeyService | undefined;
  readonly persons?: PersonKeyStore | undefined;
  readonly retention?: LocationSetting['retention'];
}

export const replicateCommand: Register = (program) => {
  const command = program
    .command('replicate [locations...]')
    .summary('copy what other locations lack')
    .description(
      'Copies to the secondary locations of holdfast.yaml what they lack, verifies every byte on the way, and deletes nothing. ' +
        'May be killed, and run again.',
    )
    .option('--pull', 'run by the other side: into an air-gapped location, with rights to read the source only', false)
    .option('--from <store>', 'with --pull and --to: where to read, without holdfast.yaml')
    .option('--to <store>', 'where to write: a directory, or s3://bucket/prefix')
    .option('--public-key <file>', 'trust these signing keys; then no key file is needed');
  handle<Options>(command, async (options, ...args) => {
    stopOnSignal('What was copied stays, and is verified; run the same command again and it goes on where it was.');
    const ways =
      options.from !== undefined || options.to !== undefined
        ? [await named(options)]
        : await configured(options, args.flat());
    const progress = stoppable(progressBar(!options.json && !options.quiet));
    const reports: (ReplicationReport & { location: string })[] = [];
    for (const { name, retention, ...way } of ways) {
      const held = retention ? await holdsInStore(way.source) : new Set<string>();
      const select = retention ? { select: keptBy(retention, systemClock.now(), held) } : {};
      reports.push({ location: name, ...(await replicate({ ...way, ...select, progress })) });
    }
    return reportOf(reports);
  });
};

/** Both ends on the command line: the other side may have nothing else of the installation than its public keys. */
async function named(options: Options): Promise<Way> {
  const { from, to, pull, publicKey } = options;
  if (!pull || from === undefined || to === undefined || publicKey === undefined) {
    throw new ConfigError('HF_ARGUMENT_INVALID', '--from and --to go together, with --pull and --public-key.', {
      action: 'Pass all four; or name both places in holdfast.yaml, and pass none of --from and --to.',
    });
  }
  const [a, b] = [storeLocation(from, '.'), storeLocation(to, '.')];
  await refuseOverlap(a, b);
  return {
    name: to,
    source: await openObjectStore(a),
    target: await openObjectStore(b),
    trust: await trustOf(publicKey),
  };
}

async function configured(options: Options, names: readonly string[]): Promise<Way[]> {
  const settings = await settingsOf(options);
  const kind = options.pull ? 'air_gapped' : 'secondary';
  const chosen = names.length
    ? names.map((name) => locationNamed(settings, name, kind))
    : settings.locations.filter((location) => location.kind === kind);
  if (chosen.length === 0) {
    throw new ConfigError('HF_LOCATION_UNKNOWN', `holdfast.yaml has no location of kind ${kind}.`, {
      action: 'Add one under "locations:"; docs/locations.md shows how.',
      details: { expected: kind },
    });
  }
  const { keys, persons, trust } = await openKeys(settings, options);
  const ways: Way[] = [];
  for (const { name, store, lock, retention } of chosen) {
    await refuseOverlap(settings.store, store);
    const source = await openObjectStore(settings.store);
    const target = await openObjectStore(store, lock);
    ways.push({ name, source, target, trust, keys, persons, ...(retention ? { retention } : {}) });
  }
  return ways;
}

function reportOf(reports: readonly (ReplicationReport & { location: string })[]): Report {
  return {
    json: { locations: reports },
    text: reports.flatMap(({ location, ...report }) => replicationLines(location, report)).join('\n'),
    exitCode: reports.some(hasFaults) ? 1 : 0,
  };
}
