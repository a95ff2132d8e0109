/** Locations on the command line. */
import { readFile, realpath } from 'node:fs/promises';
import { basename, dirname, join, relative } from 'node:path';
import type { Command } from 'commander';
import type { LocationKind, LocationSetting } from '../core/datamap/locations.ts';
import type { Settings } from '../core/datamap/settings.ts';
import { didYouMean } from '../core/datamap/suggest.ts';
import { ConfigError } from '../core/errors.ts';
import { trustFile } from '../core/history/seal/publicKeys.ts';
import type { Trust } from '../core/ports.ts';

/** How a location of each kind gets its backups. */
const WAYS: Readonly<Record<LocationKind, string>> = {
  primary: 'The primary location is the store itself, where "holdfast backup" writes; name another.',
  secondary: 'It is copied to with "holdfast replicate", without --pull.',
  tertiary: 'Media are written with "holdfast media export".',
  air_gapped: 'It pulls: run "holdfast replicate --pull" on its own side, with rights that this side does not have.',
};

/** Declares `--location` on a command that only reads the store. */
export const readsFrom = (command: Command): Command =>
  command.option('--location <name>', 'read from this location of holdfast.yaml instead of the store');

/** @throws ConfigError HF_LOCATION_UNKNOWN; HF_LOCATION_KIND when it is of another kind than is needed */
export function locationNamed(
  { locations }: Pick<Settings, 'locations'>,
  name: string,
  kind?: LocationKind,
): LocationSetting {
  const found = locations.find((location) => location.name === name);
  if (found && kind !== undefined && found.kind !== kind) {
    throw new ConfigError('HF_LOCATION_KIND', `Location "${name}" is ${found.kind}; this needs a ${kind} one.`, {
      action: WAYS[found.kind],
      details: { location: name, expected: kind, got: found.kind },
    });
  }
  if (found) return found;
  const names = locations.map((location) => location.name);
  throw new ConfigError('HF_LOCATION_UNKNOWN', `There is no location "${name}".${didYouMean(name, names)}`, {
    action: `holdfast.yaml has ${names.join(', ')}; "locations:" there lists them.`,
    details: { got: name, known: names },
  });
}

/** Where backups are read from: the store, or the location of that name. @throws ConfigError HF_LOCATION_UNKNOWN */
export const placeToRead = (settings: Settings, name: string | undefined): string =>
  name === undefined ? settings.store : locationNamed(settings, name).store;

/** The public keys in a file that "holdfast audit public-key" printed. @throws ConfigError HF_ARGUMENT_INVALID; KeyError HF_PUBLIC_KEY */
export async function trustOf(path: string): Promise<Trust> {
  try {
    return trustFile(await readFile(path, 'utf8'));
  } catch (cause) {
    if ((cause as NodeJS.ErrnoException).code?.startsWith('HF_')) throw cause;
    throw new ConfigError(
      'HF_ARGUMENT_INVALID',
      `The public keys in ${path} cannot be read: ${(cause as Error).message}.`,
      { cause, action: 'Check the path.', details: { option: '--public-key', got: path } },
    );
  }
}

/** A copy inside of what it is a copy of would be lost with it, and be copied into itself. @throws ConfigError HF_LOCATION_OVERLAP */
export async function refuseOverlap(one: string, other: string): Promise<void> {
  const [a, b] = await Promise.all([one, other].map(real));
  if (a !== b && !(within(a!, b!) || within(b!, a!))) return;
  throw new ConfigError('HF_LOCATION_OVERLAP', `${one} and ${other} are in the same place, or one lies in the other.`, {
    action: 'Give the copy a place of its own, best on another disk.',
    details: { expected: one, got: other },
  });
}

/** Through links, as far as it exists. Places in S3 stay as they are written. */
async function real(place: string): Promise<string> {
  if (place.startsWith('s3://')) return place.replace(/\/+(?=$|\?)/, '');
  return realpath(place).catch(async () =>
    dirname(place) === place ? place : join(await real(dirname(place)), basename(place)),
  );
}

const within = (inner: string, outer: string): boolean =>
  !inner.startsWith('s3://') && !outer.startsWith('s3://') && !/^\.\.(\/|$)|^\//.test(relative(outer, inner));
