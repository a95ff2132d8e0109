import { mkdtemp, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { expect, test } from '@jest/globals';
import { formatMap, formatNewFile } from '../../core/datamap/format.ts';
import { readMap, readSettings } from '../../core/datamap/load.ts';
import { parseMap } from '../../core/datamap/parse.ts';
import { rewriteMap } from '../../core/datamap/rewrite.ts';
import { parseSettings } from '../../core/datamap/settings.ts';
import { DEFAULT_FILES_SCHEDULE, DEFAULT_SCHEDULES, define, defineAll } from '../../core/schedules/define.ts';

const MAP = 'version: 1\ntenant: orgs(id)\ntables:\n  orgs: {tenant: id}\n';
const SETTINGS = `# Where.
store: s3://bucket/prefix   # not here
keys: /etc/holdfast.key
retention:
  daily: 14

  # A comment inside.
  trail: P1Y
schedules:
  - {name: weekly, type: full, cron: "0 2 * * 0", time_zone: Europe/Paris, spread: PT1H30M, enabled: false}
  - type: transaction_log
    cron: 0 */4 * * *
    tenant: 42
    grace: PT20M
    overlap: queue
"someone's: own": [x]
`;

test('settings have defaults', () => {
  expect(parseSettings(MAP)).toEqual({
    store: './holdfast-store',
    keys: './holdfast.key',
    personKeys: './holdfast-person-keys',
    locations: [{ name: 'primary', kind: 'primary', store: './holdfast-store', medium: 'disk', site: 'here' }],
    retention: { daily: 7, weekly: 4, monthly: 12, trail: 'P90D' },
    schedules: defineAll(DEFAULT_SCHEDULES),
    files: [],
  });
  expect(parseSettings(`${MAP}schedules: []\n`).schedules).toEqual([]);
});

test('where files are declared, a schedule of them is sound, and a default', () => {
  const files = 'files: {notes: {from: s3://uploads, table: public.notes, column: path}}\n';
  expect(parseSettings(MAP + files).schedules).toEqual(defineAll([...DEFAULT_SCHEDULES, DEFAULT_FILES_SCHEDULE]));
  const schedules = 'schedules: [{type: files, cron: "0 3 * * *", tenant: 42}]\n';
  expect(parseSettings(MAP + files + schedules).schedules).toMatchObject([{ name: 'files', tenant: '42', grace: 60 }]);
  expect(() => parseSettings(MAP + schedules)).toThrow(/expected a section files: beside it.*got.*files/);
});

test('settings are read', () => {
  expect(parseSettings(MAP + SETTINGS)).toEqual({
    store: 's3://bucket/prefix',
    keys: '/etc/holdfast.key',
    personKeys: './holdfast-person-keys',
    locations: [
      { name: 'primary', kind: 'primary', store: 's3://bucket/prefix', medium: 'object storage', site: 'S3' },
    ],
    retention: { daily: 14, weekly: 4, monthly: 12, trail: 'P1Y' },
    schedules: [
      define({ name: 'weekly', type: 'full', cron: '0 2 * * 0', timeZone: 'Europe/Paris', spread: 90, enabled: false }),
      define({ type: 'transaction_log', cron: '0 */4 * * *', tenant: '42', grace: 20, overlap: 'queue' }),
    ],
    files: [],
  });
});

test('a new file shows the defaults, and reads the same with them uncommented', () => {
  const text = formatNewFile(parseMap(MAP));
  expect(parseMap(text)).toEqual(parseMap(MAP));
  const [, footer] = text.split('these are the defaults.\n');
  const uncommented = parseSettings(MAP + footer!.replace(/^# /gm, ''));
  expect(uncommented).toEqual(parseSettings(MAP));
});

test.each([
  ['daily: 14', 'daily: -1', 'a number of backups to keep, got -1'],
  ['trail: P1Y', 'trail: a year', 'an ISO 8601 duration'],
  ['daily:', 'dayly:', 'Did you mean daily?'],
  ['type: full', 'type: fully', 'one of full, incremental'],
  ['0 2 * * 0', '0 2 * *', 'five fields'],
  ['0 2 * * 0', '0 2 1 * 0', 'make two schedules'],
  ['Europe/Paris', 'Europe/Pariss', 'an IANA time zone'],
  ['PT1H30M', 'PT90S', 'whole minutes'],
  ['PT1H30M', 'P3D', 'whole minutes from 0 to 1440, got "P3D"'],
  ['overlap: queue', 'overlap: both', 'skip or queue'],
  ['enabled: false', 'enabled: no', 'true or false'],
  ['name: weekly', 'name: Weekly', 'lower-case letters'],
  ['type: transaction_log', 'type: cleanup', 'no tenant'],
  ['keys: /etc/holdfast.key', 'keys: []', 'a path, got a list'],
])('refuses %s as %s', (good, bad, message) => {
  expect(() => parseSettings(MAP + SETTINGS.replace(good, bad))).toThrow(message);
});

test('a rewritten map leaves the other sections word for word', () => {
  const map = parseMap(MAP.replaceAll('orgs', 'tenants'));
  const first = rewriteMap(`# mine\n${MAP}\n${SETTINGS}`, map);
  expect(first).toBe(`${formatMap(map)}\n${SETTINGS}`);
  expect(rewriteMap(first, map)).toBe(first);
  expect(rewriteMap(MAP, map)).toBe(formatMap(map));
  expect(() => rewriteMap('tables: {', map)).toThrow('not valid YAML');
});

test('files that are not there, or not a map, are named', async () => {
  const directory = await mkdtemp(join(tmpdir(), 'holdfast-map-'));
  const path = join(directory, 'holdfast.yaml');
  await expect(readMap(path)).rejects.toMatchObject({ code: 'HF_MAP_MISSING', details: { path } });
  await writeFile(path, MAP + SETTINGS);
  expect(await readMap(path)).toEqual(parseMap(MAP));
  expect((await readSettings(path)).store).toBe('s3://bucket/prefix');
  await writeFile(path, '');
  await expect(readMap(path)).rejects.toMatchObject({ code: 'HF_MAP_INVALID' });
  await expect(readMap(directory)).rejects.toMatchObject({ code: 'HF_MAP_MISSING' });
  await rm(directory, { recursive: true });
});
