/** The sections of holdfast.yaml beside the map: where backups and keys live, how long, and when. */
import { isScalar } from 'yaml';
import { type LocationSetting, parseLocations } from './locations.ts';
import { type Entry, type Reader, readYaml } from './nodes.ts';
import { isDuration } from './parse.ts';

export interface Settings {
  /** A directory, or `s3://bucket/prefix`. @default './holdfast-store' */
  readonly store: string;
  /** Key file of the local key service. @default './holdfast.key' */
  readonly keys: string;
  /** Directory of person keys; must lie outside the store. @default './holdfast-person-keys' */
  readonly personKeys: string;
  /** Where copies of the store are, the primary location first: that is the store itself. */
  readonly locations: readonly LocationSetting[];
  readonly retention: RetentionSettings;
  readonly schedules: readonly ScheduleSetting[];
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

export interface ScheduleSetting {
  readonly type: (typeof SCHEDULE_TYPES)[number];
  /** Five fields, as in crontab(5). */
  readonly cron: string;
  /** IANA name. @default 'UTC' */
  readonly timeZone: string;
  /** undefined: every tenant. */
  readonly tenant?: string;
}

const SCHEDULE_TYPES = ['full', 'incremental', 'differential', 'transaction_log', 'cleanup', 'validate'] as const;
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
  const store = path('store', './holdfast-store');
  return {
    store,
    keys: path('keys', './holdfast.key'),
    personKeys: path('person_keys', './holdfast-person-keys'),
    locations: parseLocations(reader, top.get('locations'), store),
    retention: retention(reader, top.get('retention')),
    schedules: schedules(reader, top.get('schedules')),
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

function schedules(reader: Reader, at: Entry | undefined): ScheduleSetting[] {
  if (!at) return [];
  return reader.items(at.value, 'a list of schedules').map((item) => {
    const fields = reader.fields(item, 'a schedule', ['type', 'cron', 'time_zone', 'tenant']);
    const text = (name: string, expected: string) => reader.text(fields.get(name)?.value ?? null, expected);
    const type = SCHEDULE_TYPES.find((t) => t === text('type', `a type: ${SCHEDULE_TYPES.join(', ')}`));
    if (!type) reader.fail(fields.get('type')!.value, `one of ${SCHEDULE_TYPES.join(', ')}`);
    const cron = text('cron', 'a cron expression, like "0 2 * * *"').trim();
    if (cron.split(/\s+/).length !== 5) reader.fail(fields.get('cron')!.value, 'five cron fields, like "0 2 * * *"');
    const timeZone = fields.has('time_zone') ? text('time_zone', 'a time zone') : 'UTC';
    if (!isTimeZone(timeZone)) reader.fail(fields.get('time_zone')!.value, 'an IANA time zone, like Europe/Paris');
    return { type: type!, cron, timeZone, ...(fields.has('tenant') ? { tenant: text('tenant', 'a tenant') } : {}) };
  });
}

function isTimeZone(name: string): boolean {
  try {
    new Intl.DateTimeFormat('en', { timeZone: name });
    return true;
  } catch {
    return false;
  }
}
