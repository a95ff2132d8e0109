/** The sections of holdfast.yaml beside the map: where backups and keys live, how long, and when. */
import { isScalar } from 'yaml';
import type { FileSetSetting } from '../files/types.ts';
import type { Definition } from '../schedules/types.ts';
import { fileSettings } from './fileSettings.ts';
import { type KmsSetting, parseKms } from './keySettings.ts';
import { type LocationSetting, parseLocations } from './locations.ts';
import { type Entry, type Reader, readYaml } from './nodes.ts';
import { isDuration } from './parse.ts';
import { scheduleSettings } from './scheduleSettings.ts';

export interface Settings {
  /** A directory, or `s3://bucket/prefix`. @default './holdfast-store' */
  readonly store: string;
  /** Key file of the local key service. @default './holdfast.key' */
  readonly keys: string;
  /** Keys in KMS, instead of the key file. */
  readonly kms?: KmsSetting;
  /**
   * Where person keys are, outside the store: a directory, or `dynamodb://table?region=name`. @default './holdfast-person-keys'
   */
  readonly personKeys: string;
  /** Where copies of the store are, the primary location first: that is the store itself. */
  readonly locations: readonly LocationSetting[];
  readonly retention: RetentionSettings;
  /** @default DEFAULT_SCHEDULES of core/schedules/define.ts, and one of files where there are any; an empty list is none */
  readonly schedules: readonly Definition[];
  /** Users' files that belong to rows. @default none */
  readonly files: readonly FileSetSetting[];
}

/** How long backups are kept. Numbers count backups of that kind; `trail` is how long history stays in the database. */
export interface RetentionSettings {
  /** @default 7 */
  readonly daily: number;
  /** @default 4 */
  readonly weekly: number;
  /** @default 12 */
  readonly monthly: number;
  /** ISO 8601 duration. @default 'P90D' */
  readonly trail: string;
}

const DEFAULT_KEYS = './holdfast.key';
const DEFAULT_RETENTION: RetentionSettings = { daily: 7, weekly: 4, monthly: 12, trail: 'P90D' };

/**
 * Reads the settings, with defaults for what is not written.
 * @throws ConfigError HF_MAP_INVALID, with line and column
 */
export function parseSettings(text: string, source = 'holdfast.yaml'): Settings {
  const reader = readYaml(text, source);
  const top = new Map(reader.entries(reader.root, 'a data map').map((entry) => [entry.key, entry]));
  const path = (name: string, otherwise: string): string =>
    top.has(name) ? reader.text(top.get(name)!.value, 'a path') : otherwise;
  const kms = parseKms(reader, top.get('keys'));
  const store = path('store', './holdfast-store');
  const files = fileSettings(reader, top.get('files'));
  return {
    store,
    ...(kms ? { keys: DEFAULT_KEYS, kms } : { keys: path('keys', DEFAULT_KEYS) }),
    personKeys: path('person_keys', './holdfast-person-keys'),
    locations: parseLocations(reader, top.get('locations'), store),
    retention: retention(reader, top.get('retention')),
    schedules: scheduleSettings(reader, top.get('schedules'), files.length > 0),
    files,
  };
}

function retention(reader: Reader, at: Entry | undefined): RetentionSettings {
  if (!at) return DEFAULT_RETENTION;
  const fields = reader.fields(at.value, 'how long backups are kept', Object.keys(DEFAULT_RETENTION));
  const count = (name: 'daily' | 'weekly' | 'monthly'): number => {
    const node = fields.get(name)?.value;
    if (node === undefined) return DEFAULT_RETENTION[name];
    const value = isScalar(node) ? node.value : undefined;
    return Number.isInteger(value) && (value as number) >= 0
      ? (value as number)
      : reader.fail(node, 'a number of backups to keep');
  };
  const trail = fields.has('trail') ? reader.text(fields.get('trail')!.value, 'a duration') : DEFAULT_RETENTION.trail;
  if (!isDuration(trail)) reader.fail(fields.get('trail')!.value, 'an ISO 8601 duration, like P90D');
  return { daily: count('daily'), weekly: count('weekly'), monthly: count('monthly'), trail };
}
