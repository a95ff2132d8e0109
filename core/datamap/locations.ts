/** The section `locations:` of holdfast.yaml: the places besides `store:` where copies of it are kept. */
import { isScalar, type Node } from 'yaml';
import type { Entry, Reader } from './nodes.ts';

/**
 * secondary: copied to by `replicate`. tertiary: media, written by `media export`. air_gapped: pulls by itself, with rights of its
 * own, and nobody here can change what it has.
 */
export type LocationKind = 'primary' | 'secondary' | 'tertiary' | 'air_gapped';

export interface LockSetting {
  readonly mode: 'compliance' | 'governance';
  /** From when an object is put; 1 to 36,500. A directory has no calendar: there it holds until it is lifted. */
  readonly days: number;
}

export interface LocationSetting {
  readonly name: string;
  readonly kind: LocationKind;
  /** A directory, or `s3://bucket/prefix`. */
  readonly store: string;
  /** What it is written on, in the user's own words, as in "tape". @default 'disk' or 'object storage' */
  readonly medium: string;
  /** What is lost together has the same site. @default 'here' for a directory; else the endpoint, or S3 and its region */
  readonly site: string;
  /** Locks what is put there. @default none, or what the bucket itself does */
  readonly lock?: LockSetting;
  /** Only what this keeps is copied there, and kept by cleanup there. @default everything is copied, nothing removed */
  readonly retention?: { readonly daily: number; readonly weekly: number; readonly monthly: number };
}

const KINDS = ['secondary', 'tertiary', 'air_gapped'] as const;
const MODES = ['compliance', 'governance'] as const;
const PRIMARY = 'primary';

/**
 * The primary location first; it is what `store:` says.
 * @throws ConfigError HF_MAP_INVALID
 */
export function parseLocations(reader: Reader, at: Entry | undefined, store: string): LocationSetting[] {
  const entries = at ? reader.entries(at.value, 'locations, each with its store') : [];
  const own = entries.find(({ key }) => key === PRIMARY);
  const others = entries.filter((entry) => entry !== own).map((entry) => other(reader, entry));
  for (const { store: taken } of others) {
    const twice = taken === store || others.filter((o) => o.store === taken).length > 1;
    if (twice) reader.fail(at!.node, 'a place of its own for each location', `${JSON.stringify(taken)} twice`);
  }
  return [primary(reader, own, store), ...others];
}

function primary(reader: Reader, at: Entry | undefined, store: string): LocationSetting {
  const fields = at ? reader.fields(at.value, 'where the primary location is', ['medium', 'site']) : undefined;
  return { name: PRIMARY, kind: 'primary', store, ...about(reader, fields, store) };
}

function other(reader: Reader, { key, node, value }: Entry): LocationSetting {
  if (!/^[a-z0-9][a-z0-9_-]{0,62}$/i.test(key)) reader.fail(node, 'a name of letters, digits, "_" and "-"');
  const known = ['kind', 'store', 'medium', 'site', 'lock', 'retention'];
  const fields = reader.fields(value, `what location ${key} is`, known);
  const need = (name: string, expected: string) => reader.text(fields.get(name)?.value ?? node, expected);
  if (!fields.has('kind')) reader.fail(node, `"kind:" for location ${key}: ${KINDS.join(', ')}`, 'none');
  if (!fields.has('store')) reader.fail(node, `"store:" for location ${key}`, 'none');
  const kind = KINDS.find((k) => k === need('kind', 'a kind'));
  if (!kind) return reader.fail(fields.get('kind')!.value, `one of ${KINDS.join(', ')}`);
  const store = need('store', 'a path');
  const lock = fields.get('lock');
  const retention = fields.get('retention');
  return {
    name: key,
    kind,
    store,
    ...about(reader, fields, store),
    ...(lock ? { lock: lockOf(reader, lock) } : {}),
    ...(retention ? { retention: retentionOf(reader, retention) } : {}),
  };
}

function about(reader: Reader, fields: Map<string, Entry> | undefined, store: string) {
  const text = (name: string, otherwise: string) =>
    fields?.has(name) ? reader.text(fields.get(name)!.value, 'a few words') : otherwise;
  const remote = store.startsWith('s3://');
  return { medium: text('medium', remote ? 'object storage' : 'disk'), site: text('site', siteOf(store)) };
}

/** Two buckets of one region, or behind one endpoint, may be lost in one day. */
function siteOf(store: string): string {
  if (!store.startsWith('s3://') || !URL.canParse(store)) return 'here';
  const { searchParams } = new URL(store);
  const endpoint = searchParams.get('endpoint');
  const region = searchParams.get('region');
  const host = endpoint && URL.canParse(endpoint) ? new URL(endpoint).hostname : undefined;
  if (host && /^(localhost|127\.|\[::1\])/.test(host)) return 'here';
  return [host ?? 'S3', ...(region ? [region] : [])].join(' ');
}

function lockOf(reader: Reader, at: Entry): LockSetting {
  const fields = reader.fields(at.value, 'a lock', ['mode', 'days']);
  const written = reader.text(fields.get('mode')?.value ?? at.node, `a mode: ${MODES.join(', ')}`);
  const mode = MODES.find((m) => m === written);
  if (!mode) return reader.fail(fields.get('mode')?.value ?? at.node, `a mode: ${MODES.join(', ')}`);
  return { mode, days: whole(reader, fields.get('days')?.value ?? null, 1, 36_500, 'days of lock, from 1 to 36500') };
}

function retentionOf(reader: Reader, at: Entry) {
  const fields = reader.fields(at.value, 'how long backups are kept there', ['daily', 'weekly', 'monthly']);
  const count = (name: string) =>
    fields.has(name) ? whole(reader, fields.get(name)!.value, 0, 100_000, 'a number of backups to keep') : 0;
  return { daily: count('daily'), weekly: count('weekly'), monthly: count('monthly') };
}

function whole(reader: Reader, node: Node | null, from: number, to: number, expected: string): number {
  const value = isScalar(node) ? node.value : undefined;
  return Number.isInteger(value) && (value as number) >= from && (value as number) <= to
    ? (value as number)
    : reader.fail(node, expected);
}
