/** The rows of every table as COPY text, in the order in which they would have been inserted. Nothing is kept in memory. */
import type { Random } from '../bench/prove/suite.ts';
import { bytesHex, randomAt, uuidAt } from './random.ts';
import {
  FIRST_DAY,
  FOLDERS_PER_USER,
  LAST_DAY,
  partsOf,
  SESSIONS_PER_USER,
  type Shape,
  STREAM,
  TAGS_PER_TENANT,
  USERS_PER_TEAM,
} from './shape.ts';
import { personName, prose, sentence } from './text.ts';
import { FOLDERS, GIVEN_NAMES, ORGANIZATION_KINDS, ORGANIZATION_WORDS, PLACES, TAGS } from './words.ts';

const ESCAPES: Readonly<Record<string, string>> = { '\\': '\\\\', '\t': '\\t', '\n': '\\n', '\r': '\\r' };
const field = (value: string | number | boolean | null): string =>
  value === null ? '\\N' : typeof value === 'string' ? value.replace(/[\\\t\n\r]/g, (c) => ESCAPES[c]!) : String(value);
const line = (...values: (string | number | boolean | null)[]): string => `${values.map(field).join('\t')}\n`;

const iso = (ms: number): string => new Date(ms).toISOString();
const MOODS = ['bleak', 'low', 'flat', 'fine', 'bright', 'elated'];
const ZONES = ['Europe/Berlin', 'America/New_York', 'America/Sao_Paulo', 'Asia/Tokyo', 'Africa/Lagos', 'Europe/Lisbon'];
const COUNTRIES = [
  ['DE', 'Germany', 'EUR'],
  ['US', 'United States', 'USD'],
  ['BR', 'Brazil', 'BRL'],
  ['JP', 'Japan', 'JPY'],
  ['NG', 'Nigeria', 'NGN'],
  ['PT', 'Portugal', 'EUR'],
  ['CI', "Côte d'Ivoire", 'XOF'],
] as const;
const PLANS = [
  ['free', 'Free', '0.00', '{"voice_minutes": 30, "users": 3}'],
  ['team', 'Team', '12.50', '{"voice_minutes": 600, "users": 50}'],
  ['clinic', 'Clinic', '49.00', '{"voice_minutes": null, "users": null, "audit": true}'],
] as const;
const BROWSERS = [
  'Mozilla/5.0 (X11; Linux x86_64; rv:128.0) Gecko/20100101 Firefox/128.0',
  'Mozilla/5.0 (Macintosh; Intel Mac OS X 14_5) AppleWebKit/605.1.15 Version/17.5 Safari/605.1.15',
  'Mozilla/5.0 (Windows NT 10.0; Win64; x64) AppleWebKit/537.36 Chrome/126.0.0.0 Safari/537.36',
  'Journal/4.2 (iPhone; iOS 17.5)',
  'Journal/4.1 (Android 14; Pixel 8)',
];

export interface TableRows {
  readonly table: string;
  readonly columns: string;
  readonly rows: (shape: Shape) => Generator<string>;
}

const address = (r: Random): string => `10.${r.int(256)}.${r.int(256)}.${1 + r.int(254)}`;
const teamId = (shape: Shape, user: number): number =>
  shape.tenantOf(user) * shape.teamsPerTenant + Math.floor((user % shape.usersPerTenant) / USERS_PER_TEAM) + 1;

function* organizations(shape: Shape): Generator<string> {
  for (let tenant = 0; tenant < shape.tenants; tenant++) {
    const r = randomAt(shape.seed, STREAM.organization, tenant);
    const name = `${r.pick(ORGANIZATION_WORDS)} ${r.pick(ORGANIZATION_WORDS)} ${r.pick(ORGANIZATION_KINDS)}`;
    const street = `"${1 + r.int(200)} ${r.pick(PLACES)} road, ${r.pick(ORGANIZATION_WORDS)}"`;
    const country = r.pick(COUNTRIES)[0];
    yield line(
      shape.organizationId(tenant),
      `${name.toLowerCase().replaceAll(' ', '-')}-${tenant + 1}`,
      name,
      r.pick(PLANS)[0],
      country,
      `(${street},${r.pick(ORGANIZATION_WORDS)},${10000 + r.int(89999)},${country})`,
      `[${1 + r.int(2)},${6 + r.int(2)})`,
      JSON.stringify({
        theme: r.pick(['light', 'dark', null]),
        locale: r.pick(['de', 'en', 'pt', 'ja']),
        sso: r.chance(0.2),
      }),
      iso(FIRST_DAY - r.int(400) * 86_400_000),
    );
  }
}

function* subscriptions(shape: Shape): Generator<string> {
  for (let tenant = 0; tenant < shape.tenants; tenant++) {
    const r = randomAt(shape.seed + 1, STREAM.organization, tenant);
    const first = 1000 + tenant * 10_000;
    yield line(
      shape.organizationId(tenant),
      r.pick(PLANS)[0],
      `[${iso(FIRST_DAY).slice(0, 10)},${r.chance(0.3) ? iso(LAST_DAY).slice(0, 10) : ''})`,
      `[${first},${first + 10_000})`,
      `${r.int(4000)}.${r.int(10)}${r.int(10)}`,
    );
  }
}

function* teams(shape: Shape): Generator<string> {
  for (let tenant = 0; tenant < shape.tenants; tenant++) {
    for (let team = 0; team < shape.teamsPerTenant; team++) {
      const leader = tenant * shape.usersPerTenant + team * USERS_PER_TEAM;
      const name = `${PLACES[(tenant + team * 7) % PLACES.length]} team ${team + 1}`;
      yield line(
        tenant * shape.teamsPerTenant + team + 1,
        shape.organizationId(tenant),
        name,
        shape.userId(leader),
        iso(FIRST_DAY),
      );
    }
  }
}

function* users(shape: Shape): Generator<string> {
  for (let position = 0; position < shape.users; position++) {
    const user = shape.userOrder(position);
    const r = randomAt(shape.seed, STREAM.user, user);
    const name = personName(r);
    const mailbox = name
      .toLowerCase()
      .normalize('NFD')
      .replace(/[^a-z ]/g, '')
      .replaceAll(' ', '.');
    const tenant = shape.tenantOf(user);
    yield line(
      shape.userId(user),
      shape.organizationId(tenant),
      `${mailbox}.${user + 1}@${r.pick(['example.com', 'example.org', 'mail.example.net'])}`,
      name,
      user % shape.usersPerTenant === 0 ? 'owner' : r.pick(['admin', 'member', 'member', 'member', 'guest']),
      r.chance(0.05) && user % USERS_PER_TEAM !== 0 ? null : teamId(shape, user),
      `\\x${bytesHex(r, 32)}`,
      r.pick(ZONES),
      r.pick(['1 day', '12:00:00', '7 days', '1 mon', '2 days 06:30:00']),
      JSON.stringify({ digest: r.chance(0.5), font: r.pick(['serif', 'sans']), streak_goal: 1 + r.int(7) }),
      r.chance(0.95),
      r.chance(0.9) ? iso(LAST_DAY - r.int(30 * 86_400) * 1000) : null,
      iso(FIRST_DAY - r.int(300 * 86_400) * 1000),
    );
  }
}

function* sessions(shape: Shape): Generator<string> {
  for (let position = 0; position < shape.users * SESSIONS_PER_USER; position++) {
    const user = shape.userOrder(position % shape.users);
    const r = randomAt(shape.seed, STREAM.session, position);
    const start = FIRST_DAY + r.int((LAST_DAY - FIRST_DAY) / 1000) * 1000;
    const end = r.chance(0.7) ? iso(start + r.int(7200) * 1000) : null;
    const id = uuidAt(shape.seed, STREAM.session, position);
    yield line(id, shape.userId(user), `\\x${bytesHex(r, 32)}`, address(r), r.pick(BROWSERS), iso(start), end);
  }
}

function* folders(shape: Shape): Generator<string> {
  for (let position = 0; position < shape.users; position++) {
    const user = shape.userOrder(position);
    for (let folder = 0; folder < FOLDERS_PER_USER; folder++) {
      const r = randomAt(shape.seed, STREAM.folder, user * FOLDERS_PER_USER + folder);
      const parent = folder < 2 ? null : shape.folderId(user, r.int(folder));
      const name = FOLDERS[(user + folder * 3) % FOLDERS.length]!;
      const owner = [shape.organizationId(shape.tenantOf(user)), shape.userId(user)] as const;
      yield line(shape.folderId(user, folder), ...owner, parent, name, folder + r.int(100) / 128);
    }
  }
}

function* entries(shape: Shape): Generator<string> {
  for (let position = 0; position < shape.entries; position++) {
    const entry = shape.entryOrder(position);
    const user = shape.authorOf(entry);
    const r = randomAt(shape.seed, STREAM.body, entry);
    const made = shape.entryTime(position);
    const people = Array.from({ length: r.int(3) }, () => r.pick(GIVEN_NAMES));
    const attributes = {
      words: r.int(400),
      weather: r.pick(['rain', 'sun', 'snow', null]),
      device: r.pick(['phone', 'web', 'watch']),
    };
    yield line(
      shape.entryId(entry),
      shape.organizationId(shape.tenantOf(user)),
      shape.userId(user),
      r.chance(0.85) ? shape.folderId(user, r.int(FOLDERS_PER_USER)) : null,
      sentence(r).slice(0, 70),
      prose(r, 80 + Math.floor(r.next() * r.next() * 1200)),
      r.chance(0.9) ? r.pick(MOODS) : null,
      r.chance(0.8) ? (r.next() * 2 - 1).toFixed(4) : null,
      `{${people.map((name) => `"${name}"`).join(',')}}`,
      JSON.stringify(attributes),
      iso(made).slice(0, 10),
      iso(made),
      iso(made + (r.chance(0.3) ? r.int(86_400) * 1000 : 0)),
    );
  }
}

function* voiceNotes(shape: Shape): Generator<string> {
  for (let position = 0; position < shape.entries; position++) {
    const entry = shape.entryOrder(position);
    const { segments } = partsOf(shape, entry);
    if (segments === 0) continue;
    const r = randomAt(shape.seed, STREAM.note, entry);
    const tenant = shape.tenantOf(shape.authorOf(entry));
    yield line(
      shape.noteId(entry),
      shape.entryId(entry),
      `voice/${shape.organizationId(tenant).slice(0, 8)}/${shape.noteId(entry)}.opus`,
      r.pick(['transcribed', 'transcribed', 'transcribed', 'uploaded', 'failed']),
      `${Math.floor(segments * 7.5)}.${r.int(1000)} seconds`,
      segments * 60_000 + r.int(50_000),
      `\\x${bytesHex(r, 32)}`,
      r.chance(0.6) ? `\\x${bytesHex(r, 96)}` : null,
      iso(shape.entryTime(position) + 1000),
    );
  }
}

function* segments(shape: Shape): Generator<string> {
  for (let position = 0; position < shape.entries; position++) {
    const entry = shape.entryOrder(position);
    const { segments: count } = partsOf(shape, entry);
    if (count === 0) continue;
    const r = randomAt(shape.seed, STREAM.segment, entry);
    let at = 0;
    for (let ordinal = 0; ordinal < count; ordinal++) {
      const end = at + 2000 + r.int(9000);
      yield line(shape.noteId(entry), ordinal, `[${at},${end})`, sentence(r), r.int(1000) / 1000);
      at = end + r.int(700);
    }
  }
}

function* tags(shape: Shape): Generator<string> {
  for (let tag = 0; tag < TAGS_PER_TENANT; tag++) {
    for (let tenant = 0; tenant < shape.tenants; tenant++) {
      const r = randomAt(shape.seed, STREAM.tag, tenant * TAGS_PER_TENANT + tag);
      const name = TAGS[(tenant * 5 + tag) % TAGS.length]!;
      yield line(
        tenant * TAGS_PER_TENANT + tag + 1,
        shape.organizationId(tenant),
        name,
        `#${bytesHex(r, 3)}`,
        iso(FIRST_DAY),
      );
    }
  }
}

function* entryTags(shape: Shape): Generator<string> {
  for (let position = 0; position < shape.entries; position++) {
    const entry = shape.entryOrder(position);
    const user = shape.authorOf(entry);
    for (const tag of partsOf(shape, entry).tags) {
      const id = shape.tenantOf(user) * TAGS_PER_TENANT + tag + 1;
      yield line(shape.entryId(entry), id, shape.userId(user), iso(shape.entryTime(position) + 2000));
    }
  }
}

function* comments(shape: Shape): Generator<string> {
  let id = 0;
  for (let position = 0; position < shape.entries; position++) {
    const entry = shape.entryOrder(position);
    const tenant = shape.tenantOf(shape.authorOf(entry));
    const { comments: count } = partsOf(shape, entry);
    const r = randomAt(shape.seed, STREAM.comment, entry);
    for (let n = 0; n < count; n++) {
      id++;
      const author = shape.userId(tenant * shape.usersPerTenant + r.int(shape.usersPerTenant));
      const answers = n > 0 && r.chance(0.6) ? id - 1 : null;
      yield line(
        id,
        shape.entryId(entry),
        answers,
        author,
        sentence(r),
        iso(shape.entryTime(position) + (n + 1) * 60_000),
      );
    }
  }
}

function* events(shape: Shape): Generator<string> {
  for (let position = 0; position < shape.entries; position++) {
    const entry = shape.entryOrder(position);
    const user = shape.authorOf(entry);
    const r = randomAt(shape.seed, STREAM.event, entry);
    const owner = [shape.organizationId(shape.tenantOf(user)), shape.userId(user)] as const;
    const ip = address(r);
    const at = shape.entryTime(position);
    yield line(iso(at - 5000), ...owner, 'signed_in', null, ip, '{}');
    yield line(iso(at), ...owner, 'entry_created', shape.entryId(entry), ip, JSON.stringify({ ms: r.int(900) }));
    if (r.chance(0.5)) yield line(iso(at + 4000), ...owner, 'entry_opened', shape.entryId(entry), ip, '{}');
  }
}

function* shared(rows: readonly (readonly string[])[]): Generator<string> {
  for (const row of rows) yield line(...row);
}

/** In an order that foreign keys would accept too, but for the cycle of teams and users. */
export const TABLES: readonly TableRows[] = [
  { table: 'countries', columns: 'code, name, currency', rows: () => shared(COUNTRIES) },
  { table: 'plans', columns: 'id, name, monthly_price, limits', rows: () => shared(PLANS) },
  {
    table: 'organizations',
    columns: 'id, slug, name, plan_id, country_code, address, allowed_days, settings, created_at',
    rows: organizations,
  },
  { table: 'subscriptions', columns: 'organization_id, plan_id, period, invoice_numbers, price', rows: subscriptions },
  { table: 'teams', columns: 'id, organization_id, name, lead_id, created_at', rows: teams },
  {
    table: 'users',
    columns: `id, organization_id, email, display_name, role, team_id, password_hash, time_zone, reminder_after,
      preferences, active, last_seen_at, created_at`,
    rows: users,
  },
  { table: 'sessions', columns: 'id, user_id, token_hash, ip, user_agent, started_at, ended_at', rows: sessions },
  { table: 'folders', columns: 'id, organization_id, owner_id, parent_id, name, position', rows: folders },
  {
    table: 'journal_entries',
    columns: `id, organization_id, author_id, folder_id, title, body, mood, sentiment, people, attributes, entry_date,
      created_at, updated_at`,
    rows: entries,
  },
  {
    table: 'voice_notes',
    columns: 'id, entry_id, storage_key, status, duration, byte_size, sha256, waveform, recorded_at',
    rows: voiceNotes,
  },
  {
    table: 'transcription_segments',
    columns: 'voice_note_id, ordinal, milliseconds, transcript, confidence',
    rows: segments,
  },
  { table: 'tags', columns: 'id, organization_id, name, color, created_at', rows: tags },
  { table: 'entry_tags', columns: 'entry_id, tag_id, tagged_by, tagged_at', rows: entryTags },
  { table: 'comments', columns: 'id, entry_id, parent_id, author_id, body, created_at', rows: comments },
  {
    table: 'activity_events',
    columns: 'occurred_at, organization_id, user_id, kind, subject_id, ip, details',
    rows: events,
  },
];
