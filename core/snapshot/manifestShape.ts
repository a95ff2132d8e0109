/** Checks that parsed JSON has the shape of a manifest, and names the first field that does not. */
import { IntegrityError } from '../errors.ts';
import type { Manifest } from './types.ts';

type Check = (value: unknown, path: string) => string | undefined;

const fail = (path: string, expected: string, value: unknown): string =>
  `${path} should be ${expected}, got ${value === undefined ? 'nothing' : JSON.stringify(value)?.slice(0, 80)}`;

const text: Check = (value, path) => (typeof value === 'string' ? undefined : fail(path, 'text', value));
const match =
  (pattern: RegExp, expected: string): Check =>
  (value, path) =>
    typeof value === 'string' && pattern.test(value) ? undefined : fail(path, expected, value);
const count: Check = (value, path) =>
  Number.isSafeInteger(value) && (value as number) >= 0 ? undefined : fail(path, 'a whole number', value);
const nullable =
  (check: Check): Check =>
  (value, path) =>
    value === null ? undefined : check(value, path);
const optional =
  (check: Check): Check =>
  (value, path) =>
    value === undefined ? undefined : check(value, path);
const list =
  (check: Check): Check =>
  (value, path) =>
    Array.isArray(value) ? first(value, (item, i) => check(item, `${path}[${i}]`)) : fail(path, 'a list', value);
const isObject = (value: unknown): value is Record<string, unknown> =>
  typeof value === 'object' && value !== null && !Array.isArray(value);
const shape =
  (fields: Record<string, Check>): Check =>
  (value, path) =>
    isObject(value)
      ? first(Object.entries(fields), ([key, check]) => check(value[key], path ? `${path}.${key}` : key))
      : fail(path, 'an object', value);
const record =
  (check: Check): Check =>
  (value, path) =>
    isObject(value)
      ? first(Object.entries(value), ([key, item]) => check(item, `${path}[${JSON.stringify(key)}]`))
      : fail(path, 'an object', value);

function first<T>(items: readonly T[], check: (item: T, index: number) => string | undefined): string | undefined {
  for (const [index, item] of items.entries()) {
    const problem = check(item, index);
    if (problem) return problem;
  }
  return undefined;
}

const sha256 = match(/^[0-9a-f]{64}$/, 'a SHA-256 in hex');
const snapshot = match(/^\d+:\d+:[\d,]*$/, 'a pg_snapshot');
const moment = match(/^\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d(\.\d{1,6})?Z$/, 'a UTC time');
const id = match(/^[A-Za-z0-9-]{1,100}$/, 'a backup id');

const check = shape({
  id,
  store: match(/^[0-9a-f]{32}$/, 'a store id'),
  epoch: text,
  server: shape({ version: count, database: text }),
  tenant: nullable(text),
  type: match(/^(full|incremental|differential|transaction_log)$/, 'a backup type'),
  parent: nullable(id),
  startedAt: moment,
  finishedAt: moment,
  horizon: moment,
  log: shape({ from: snapshot, to: snapshot, fromMoment: moment, toMoment: moment }),
  consistentFrom: optional(moment),
  synthetic: optional(list(id)),
  tables: list(shape({ name: text, id: count, version: count, rows: count })),
  excluded: list(text),
  keys: record(shape({ tenantKey: match(/^\d{5}$/, 'a tenant key id'), wrapped: text })),
  objects: list(
    shape({
      name: text,
      kind: match(/^(chunk|log|schema)$/, 'an object kind'),
      size: count,
      sha256,
      snapshot: optional(snapshot),
      slabs: list(shape({ tenant: text, offset: count, length: count, sha256, rows: record(count) })),
    }),
  ),
  totals: shape({ rows: count, changes: count, rawBytes: count, bytes: count }),
  signature: shape({
    algorithm: match(/^(ed25519|ecdsa-p256-sha256)$/, 'a signature algorithm'),
    keyId: text,
    value: text,
  }),
});

/**
 * The value as a Manifest. Slabs must also fill their object without gaps, in order, inside the backup's own folder.
 * @throws IntegrityError HF_OBJECT_MALFORMED
 */
export function manifestShape(value: unknown, name: string): Manifest {
  const problem = check(value, '') ?? layout(value as Manifest);
  if (!problem) return value as Manifest;
  throw new IntegrityError('HF_OBJECT_MALFORMED', `${name} is not a sound manifest: ${problem}.`, {
    action: 'Bring this file back from another copy of the store.',
    details: { object: name, problem },
  });
}

function layout(manifest: Manifest): string | undefined {
  return first(manifest.objects, (object, o) => {
    if (!object.name.startsWith(`backups/${manifest.id}/`)) {
      return fail(`objects[${o}].name`, `inside backups/${manifest.id}/`, object.name);
    }
    let end = 0;
    const gap = first(object.slabs, (slab, s) => {
      const expected = end;
      end += slab.length;
      if (!Object.hasOwn(manifest.keys, slab.tenant)) {
        return fail(`objects[${o}].slabs[${s}].tenant`, 'one that keys names', slab.tenant);
      }
      return slab.offset === expected
        ? undefined
        : fail(`objects[${o}].slabs[${s}].offset`, `${expected}`, slab.offset);
    });
    return gap ?? (end === object.size ? undefined : fail(`objects[${o}].size`, `${end}`, object.size));
  });
}
