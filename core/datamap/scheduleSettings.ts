/** The `schedules:` section of holdfast.yaml. */
import { isScalar } from 'yaml';
import { ConfigError } from '../errors.ts';
import { DEFAULT_FILES_SCHEDULE, DEFAULT_SCHEDULES, defineAll, type WrittenSchedule } from '../schedules/define.ts';
import { type Definition, JOB_TYPES } from '../schedules/types.ts';
import type { Entry, Reader } from './nodes.ts';

const FIELDS = ['name', 'type', 'cron', 'time_zone', 'tenant', 'spread', 'overlap', 'grace', 'enabled'];

/**
 * @param files whether the file declares users' files
 * @throws ConfigError HF_MAP_INVALID, with line and column
 */
export function scheduleSettings(reader: Reader, at: Entry | undefined, files: boolean): Definition[] {
  if (!at) return defineAll(files ? [...DEFAULT_SCHEDULES, DEFAULT_FILES_SCHEDULE] : DEFAULT_SCHEDULES);
  const written: WrittenSchedule[] = [];
  for (const item of reader.items(at.value, 'a list of schedules')) {
    const fields = reader.fields(item, 'a schedule', FIELDS);
    const text = (name: string, expected: string) => reader.text(fields.get(name)?.value ?? null, expected);
    const optional = (name: string) => (fields.has(name) ? text(name, 'text') : undefined);
    const minutes = (name: string): number | undefined => {
      if (!fields.has(name)) return undefined;
      const node = fields.get(name)!.value;
      return (
        minutesOf(text(name, 'a duration')) ?? reader.fail(node, 'an ISO 8601 duration in whole minutes, like PT30M')
      );
    };
    const schedule = drop({
      name: optional('name'),
      type: text('type', `a type: ${JOB_TYPES.join(', ')}`),
      cron: text('cron', 'a cron expression, like "0 2 * * *"'),
      timeZone: optional('time_zone'),
      tenant: optional('tenant'),
      spread: minutes('spread'),
      overlap: optional('overlap'),
      grace: minutes('grace'),
      enabled: enabled(reader, fields.get('enabled')),
    });
    if (schedule.type === 'files' && !files) {
      reader.fail(fields.get('type')!.value, 'a section files: beside it, with what a schedule of files backs up');
    }
    try {
      // All up to here, so that what is wrong, also between two of them, is said at the one that makes it so.
      defineAll([...written, schedule]);
    } catch (error) {
      const field = String((error as ConfigError).details?.field ?? FIELD_OF[(error as ConfigError).code] ?? '');
      if (!(error instanceof ConfigError)) throw error;
      const node = fields.get(YAML_NAMES[field] ?? field)?.value ?? item;
      reader.fail(node, String(error.details.expected ?? 'an IANA time zone, like Europe/Paris'));
    }
    written.push(schedule);
  }
  return defineAll(written);
}

const FIELD_OF: Readonly<Record<string, string>> = { HF_CRON_INVALID: 'cron', HF_TIME_ZONE_UNKNOWN: 'timeZone' };
const YAML_NAMES: Readonly<Record<string, string>> = { timeZone: 'time_zone' };

function enabled(reader: Reader, at: Entry | undefined): boolean | undefined {
  if (!at) return undefined;
  const value = isScalar(at.value) ? at.value.value : undefined;
  return typeof value === 'boolean' ? value : reader.fail(at.value, 'true or false');
}

/** `P1DT2H30M` in minutes; undefined for what is not whole minutes. */
function minutesOf(text: string): number | undefined {
  const [matched, days, hours, minutes] = /^P(?:(\d{1,4})D)?(?:T(?:(\d{1,5})H)?(?:(\d{1,6})M)?)?$/.exec(text) ?? [];
  if (matched === undefined || (days ?? hours ?? minutes) === undefined) return undefined;
  return Number(days ?? 0) * 1440 + Number(hours ?? 0) * 60 + Number(minutes ?? 0);
}

/** A field that is not there is not the same as one that is undefined. */
const drop = <T extends Record<string, unknown>>(fields: T): WrittenSchedule =>
  Object.fromEntries(Object.entries(fields).filter(([, value]) => value !== undefined)) as unknown as WrittenSchedule;
