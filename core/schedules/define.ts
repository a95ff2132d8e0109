/** From what was written to a schedule that is whole and sound. */
import { ConfigError } from '../errors.ts';
import { parseCron } from './cron.ts';
import { JOBS } from './jobs.ts';
import { type Definition, JOB_TYPES, type JobType, type Overlap } from './types.ts';
import { checkTimeZone } from './zone.ts';

/** What has a default may be left out. */
export interface WrittenSchedule {
  /** @default the type, with a number behind it when there are several */
  readonly name?: string;
  /** @default the whole database */
  readonly tenant?: string;
  readonly type: string;
  readonly cron: string;
  /** @default 'UTC' */
  readonly timeZone?: string;
  /** Minutes, 0 to 1440. @default 30 for a tenant, 0 for the whole database */
  readonly spread?: number;
  /** @default 'skip' */
  readonly overlap?: string;
  /** Minutes, 1 to 10080. @default 15 for transaction logs, 720 for cleanup and validation, else 60 */
  readonly grace?: number;
  /** @default true */
  readonly enabled?: boolean;
}

const NAME = /^[a-z0-9][a-z0-9_-]{0,62}$/;
const TENANT_SPREAD = 30;

/** @throws ConfigError HF_SCHEDULE_INVALID, HF_CRON_INVALID, HF_TIME_ZONE_UNKNOWN */
export function define(written: WrittenSchedule): Definition {
  const type = JOB_TYPES.find((known) => known === written.type);
  if (!type) return invalid('type', `one of ${JOB_TYPES.join(', ')}`, written.type);
  const tenant = written.tenant ?? null;
  if (tenant === '') return invalid('tenant', 'the id of a tenant', tenant);
  if (tenant !== null && !JOBS[type].perTenant) {
    return invalid('tenant', `no tenant, as ${type} is for the whole database`, tenant);
  }
  const name = written.name ?? type;
  if (!NAME.test(name)) return invalid('name', 'up to 63 lower-case letters, digits, - and _', name);
  const overlap = written.overlap ?? 'skip';
  if (overlap !== 'skip' && overlap !== 'queue') return invalid('overlap', 'skip or queue', overlap);
  const timeZone = written.timeZone ?? 'UTC';
  checkTimeZone(timeZone);
  return Object.freeze({
    name,
    tenant,
    type,
    cron: parseCron(written.cron).text,
    timeZone,
    spread: minutes('spread', written.spread ?? (tenant === null ? 0 : TENANT_SPREAD), 0, 1440),
    overlap: overlap as Overlap,
    grace: minutes('grace', written.grace ?? JOBS[type].grace, 1, 10_080),
    enabled: written.enabled ?? true,
  });
}

/** The same for a list: those without a name get one, and no two of a tenant may share one. */
export function defineAll(written: readonly WrittenSchedule[]): Definition[] {
  const taken = new Set(written.flatMap(({ name, tenant }) => (name === undefined ? [] : [key(tenant, name)])));
  const named = new Set<string>();
  return written.map((schedule) => {
    const definition = define({ ...schedule, name: schedule.name ?? freeName(schedule, taken) });
    const id = key(definition.tenant, definition.name);
    if (named.has(id)) return invalid('name', 'a name that no other schedule of this tenant has', definition.name);
    named.add(id);
    taken.add(id);
    return definition;
  });
}

const key = (tenant: string | null | undefined, name: string): string => JSON.stringify([tenant ?? null, name]);

function freeName({ type, tenant }: WrittenSchedule, taken: ReadonlySet<string>): string {
  for (let n = 1; ; n += 1) {
    const name = n === 1 ? type : `${type}-${n}`;
    if (!taken.has(key(tenant, name))) return name;
  }
}

function minutes(field: string, value: number, from: number, to: number): number {
  if (Number.isInteger(value) && value >= from && value <= to) return value;
  return invalid(field, `whole minutes from ${from} to ${to}`, value);
}

function invalid(field: string, expected: string, got: unknown): never {
  throw new ConfigError(
    'HF_SCHEDULE_INVALID',
    `${field} of a schedule: expected ${expected}, got ${JSON.stringify(got)}.`,
    {
      action: `Correct ${field}; docs/schedules.md lists what a schedule takes.`,
      details: { field, expected, got },
    },
  );
}

const schedule = (name: string, type: JobType, cron: string): WrittenSchedule => ({ name, type, cron });

/** What runs when holdfast.yaml says nothing of schedules. */
export const DEFAULT_SCHEDULES: readonly WrittenSchedule[] = Object.freeze([
  schedule('full', 'full', '0 2 * * 0'),
  schedule('nightly', 'incremental', '0 2 * * 1-6'),
  schedule('office-hours', 'incremental', '0 9-17 * * 1-5'),
  schedule('log', 'transaction_log', '0 */4 * * *'),
  schedule('config', 'config', '0 1 * * *'),
  schedule('cleanup', 'cleanup', '0 3 * * 0'),
  schedule('deep-check', 'validate', '0 5 1 * *'),
]);

/** What runs beside these where it declares users' files. */
export const DEFAULT_FILES_SCHEDULE: WrittenSchedule = Object.freeze(schedule('files', 'files', '30 2 * * *'));
