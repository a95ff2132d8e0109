/** Who exists and who wrote what when, as pure functions of (options, index). `rows.ts` turns it into rows. */
import { permutation, randomAt, uuidAt } from './random.ts';

export interface SampleOptions {
  /** @default 3 */
  readonly tenants?: number;
  /** @default 8 */
  readonly usersPerTenant?: number;
  /** @default 20 */
  readonly entriesPerUser?: number;
  /** The same seed gives the same database. @default 1 */
  readonly seed?: number;
  /** Rows stand in the order of their time, tenants mixed, as in a living database; false: one tenant after the other. @default true */
  readonly interleaved?: boolean;
}

/** Streams of random numbers, one per kind of thing. */
export const STREAM = {
  organization: 1,
  user: 2,
  folder: 3,
  entry: 4,
  note: 5,
  session: 6,
  tag: 7,
  body: 8,
  segment: 9,
  comment: 10,
  event: 11,
} as const;

/** Data lies between these; nothing depends on today, so the same seed gives the same bytes in any year. */
export const FIRST_DAY = Date.UTC(2025, 6, 1);
export const LAST_DAY = Date.UTC(2026, 6, 1);

export const USERS_PER_TEAM = 6;
export const TAGS_PER_TENANT = 24;
/** Per user: two roots, the rest below them. */
export const FOLDERS_PER_USER = 5;
export const SESSIONS_PER_USER = 3;

export interface Shape {
  readonly seed: number;
  readonly tenants: number;
  readonly usersPerTenant: number;
  readonly users: number;
  readonly entries: number;
  readonly teamsPerTenant: number;
  /** Order in which users and entries were made. */
  readonly userOrder: (position: number) => number;
  readonly entryOrder: (position: number) => number;
  readonly organizationId: (tenant: number) => string;
  readonly userId: (user: number) => string;
  readonly folderId: (user: number, folder: number) => string;
  readonly entryId: (entry: number) => string;
  readonly noteId: (entry: number) => string;
  readonly tenantOf: (user: number) => number;
  readonly authorOf: (entry: number) => number;
  /** Milliseconds since the epoch of the entry at a position in time order. */
  readonly entryTime: (position: number) => number;
}

export function shapeOf(options: SampleOptions): Shape {
  const { tenants = 3, usersPerTenant = 8, entriesPerUser = 20, seed = 1, interleaved = true } = options;
  const users = tenants * usersPerTenant;
  const entries = users * entriesPerUser;
  const same = (position: number) => position;
  const id = (stream: number) => (index: number) => uuidAt(seed, stream, index);
  return Object.freeze({
    seed,
    tenants,
    usersPerTenant,
    users,
    entries,
    teamsPerTenant: Math.ceil(usersPerTenant / USERS_PER_TEAM),
    userOrder: interleaved ? permutation(seed + 1, users) : same,
    entryOrder: interleaved ? permutation(seed + 2, entries) : same,
    organizationId: id(STREAM.organization),
    userId: id(STREAM.user),
    folderId: (user, folder) => uuidAt(seed, STREAM.folder, user * FOLDERS_PER_USER + folder),
    entryId: id(STREAM.entry),
    noteId: id(STREAM.note),
    tenantOf: (user) => Math.floor(user / usersPerTenant),
    authorOf: (entry) => Math.floor(entry / entriesPerUser),
    entryTime: (position) => FIRST_DAY + Math.floor(((LAST_DAY - FIRST_DAY) * (position + 0.5)) / Math.max(1, entries)),
  } satisfies Shape);
}

/** What hangs on an entry, decided once so that every table that mentions it agrees. */
export function partsOf(shape: Shape, entry: number): { tags: readonly number[]; segments: number; comments: number } {
  const random = randomAt(shape.seed, STREAM.entry, entry);
  const tags = new Set<number>();
  for (let left = random.int(4); left > 0; left--)
    tags.add(Math.floor(random.next() * random.next() * TAGS_PER_TENANT));
  return {
    tags: [...tags],
    segments: random.chance(0.2) ? 2 + random.int(9) : 0,
    comments: random.chance(0.25) ? 1 + random.int(3) : 0,
  };
}
