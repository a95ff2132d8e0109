/** What a person does in one transaction. Names of tables are qualified: writers keep Holdfast's pinned search path. */
import type pg from 'pg';
import type { Random } from '../bench/prove/suite.ts';
import { prose, sentence } from './text.ts';
import { FOLDERS, TAGS } from './words.ts';

export interface Scene {
  readonly client: pg.Client;
  readonly random: Random;
  /** The user who acts. */
  readonly id: string;
  readonly email: string;
  /** Their organization. */
  readonly tenant: string;
}

interface Action {
  readonly name: string;
  readonly run: (scene: Scene) => Promise<void>;
}

const MOODS = ['bleak', 'low', 'flat', 'fine', 'bright', 'elated'];

/** A recent entry of the user, chosen by the seed and not by the server. */
const SOME_ENTRY = `(select id from public.journal_entries where author_id = $1 order by created_at desc, id
  offset least($2::int, greatest(0, (select count(*) - 1 from public.journal_entries where author_id = $1))) limit 1)`;

async function signIn({ client, id, random, tenant }: Scene): Promise<void> {
  await client.query(
    `insert into public.sessions (user_id, token_hash, ip, user_agent)
     values ($1, decode(md5(gen_random_uuid()::text), 'hex'), '10.1.2.3', 'Journal/4.2 (iPhone; iOS 17.5)')`,
    [id],
  );
  await client.query('update public.users set last_seen_at = clock_timestamp() where id = $1', [id]);
  await client.query(
    `insert into public.activity_events (organization_id, user_id, kind, details) values ($1, $2, 'signed_in', $3)`,
    [tenant, id, JSON.stringify({ attempt: random.int(3) })],
  );
  // Old sessions end now and then.
  await client.query(
    `update public.sessions set ended_at = clock_timestamp() where id in (
       select id from public.sessions where user_id = $1 and ended_at is null and started_at < now() order by started_at, id limit 1)`,
    [id],
  );
}

async function write({ client, id, random, tenant }: Scene): Promise<void> {
  const body = prose(random, 60 + random.int(700));
  const { rows } = await client.query<{ id: string }>(
    `insert into public.journal_entries (organization_id, author_id, folder_id, title, body, mood, sentiment, people, attributes, entry_date)
     values ($1, $2, (select f.id from public.folders f where f.owner_id = $2 order by f.position, f.id limit 1), $3, $4, $5, $6, $7, $8, current_date)
     returning id`,
    [
      tenant,
      id,
      sentence(random).slice(0, 70),
      body,
      random.pick(MOODS),
      (random.next() * 2 - 1).toFixed(4),
      ['Ada', null],
      '{"device": null}',
    ],
  );
  await client.query(
    `insert into public.writing_days (user_id, day, entries, letters) values ($1, current_date, 1, $2)
     on conflict (user_id, day) do update set entries = writing_days.entries + 1, letters = writing_days.letters + excluded.letters`,
    [id, body.length],
  );
  await client.query(
    `insert into public.activity_events (organization_id, user_id, kind, subject_id) values ($1, $2, 'entry_created', $3)`,
    [tenant, id, rows[0]!.id],
  );
  if (random.chance(0.25)) await speak(client, rows[0]!.id, random);
}

async function speak(client: pg.Client, entry: string, random: Random): Promise<void> {
  const { rows } = await client.query<{ id: string }>(
    `insert into public.voice_notes (entry_id, storage_key, duration, byte_size, sha256, recorded_at)
     values ($1, 'voice/' || gen_random_uuid(), make_interval(secs => $2), 4096, sha256(gen_random_uuid()::text::bytea), now()) returning id`,
    [entry, 3 + random.int(90)],
  );
  for (let ordinal = 0; ordinal < 1 + random.int(4); ordinal++) {
    await client.query(
      `insert into public.transcription_segments values ($1, $2, int4range($2 * 1000, $2 * 1000 + 900), $3, 0.875)`,
      [rows[0]!.id, ordinal, sentence(random)],
    );
  }
  await client.query(`update public.voice_notes set status = 'transcribed' where id = $1`, [rows[0]!.id]);
}

async function edit({ client, id, random }: Scene): Promise<void> {
  await client.query(
    `update public.journal_entries set body = body || $3, mood = $4, attributes = attributes || $5 where id = ${SOME_ENTRY}`,
    [
      id,
      random.int(12),
      ` ${sentence(random)}`,
      random.chance(0.2) ? null : random.pick(MOODS),
      { edited: random.int(9) },
    ],
  );
}

async function tag({ client, id, random, tenant }: Scene): Promise<void> {
  const { rows } = await client.query<{ id: string }>(
    `insert into public.tags (organization_id, name) values ($1, $2)
     on conflict (organization_id, name) do update set color = '#' || substr(md5($2), 1, 6) returning id`,
    [tenant, random.pick(TAGS)],
  );
  await client.query(
    `insert into public.entry_tags (entry_id, tag_id, tagged_by) select e, $3, $1 from ${SOME_ENTRY} as x(e)
     on conflict do nothing`,
    [id, random.int(12), rows[0]!.id],
  );
  if (random.chance(0.3)) {
    await client.query(`delete from public.entry_tags where tagged_by = $1 and tag_id = $2 and tagged_at < now()`, [
      id,
      rows[0]!.id,
    ]);
  }
}

async function moveFolder({ client, id, random, tenant }: Scene): Promise<void> {
  const { rows } = await client.query<{ id: string }>(
    `insert into public.folders (organization_id, owner_id, name, position) values ($1, $2, $3, $4) returning id`,
    [tenant, id, `${random.pick(FOLDERS)} ${random.int(1e9)}`, random.next()],
  );
  await client.query(
    'update public.folders set parent_id = $2 where owner_id = $1 and parent_id is null and id = (' +
      'select id from public.folders where owner_id = $1 and parent_id is null and id <> $2 order by position, id limit 1)',
    [id, rows[0]!.id],
  );
  await client.query(`update public.journal_entries set folder_id = $3 where id = ${SOME_ENTRY}`, [
    id,
    random.int(12),
    rows[0]!.id,
  ]);
}

async function comment({ client, id, random, tenant }: Scene): Promise<void> {
  await client.query(
    `insert into public.comments (entry_id, parent_id, author_id, body)
     select e.id, (select max(c.id) from public.comments c where c.entry_id = e.id), $1, $2
       from (select id from public.journal_entries where organization_id = $3 order by created_at desc, id offset $4 limit 1) e`,
    [id, sentence(random), tenant, random.int(20)],
  );
}

async function remove({ client, id, random }: Scene): Promise<void> {
  // Takes its voice notes, tags and comments along.
  await client.query(`delete from public.journal_entries where id = ${SOME_ENTRY}`, [id, 3 + random.int(12)]);
  if (random.chance(0.2)) {
    await client.query(
      `delete from public.folders where id = (select f.id from public.folders f where f.owner_id = $1 and not exists (
         select from public.journal_entries e where e.folder_id = f.id) order by f.position, f.id limit 1)`,
      [id],
    );
  }
}

async function importMany({ client, id, random, tenant }: Scene): Promise<void> {
  const bodies = Array.from({ length: 5 + random.int(40) }, () => prose(random, 200));
  await client.query(
    `insert into public.journal_entries (organization_id, author_id, title, body, entry_date)
     select $1, $2, 'Imported', b, date '2026-01-01' + n::int from unnest($3::text[]) with ordinality as x(b, n)`,
    [tenant, id, bodies],
  );
  await client.query(
    `insert into public.activity_events (occurred_at, organization_id, user_id, kind)
     select timestamptz '2026-01-01Z' + n * interval '1 day', $1, $2, 'entry_created' from generate_series(1, $3) n`,
    [tenant, id, bodies.length],
  );
}

async function withSavepoint(scene: Scene): Promise<void> {
  await edit(scene);
  await scene.client.query('savepoint before_doubt');
  await remove(scene);
  await comment(scene);
  if (scene.random.chance(0.6)) await scene.client.query('rollback to savepoint before_doubt');
  await tag(scene);
}

async function takeTime(scene: Scene): Promise<void> {
  await write(scene);
  await scene.client.query('select pg_sleep($1)', [scene.random.next() * 0.25]);
  await edit(scene);
}

/** Leads a new team that the leader also joins: both halves of the cycle in one transaction. */
async function reorganize({ client, id, random, tenant }: Scene): Promise<void> {
  const { rows } = await client.query<{ id: string }>(
    `insert into public.teams (organization_id, name, lead_id) values ($1, $2, $3) returning id`,
    [tenant, `Team ${random.int(1e9)}`, id],
  );
  await client.query('update public.users set team_id = $2 where id = $1', [id, rows[0]!.id]);
  // The oldest team of which nobody is left goes; its former leader no longer leads anything.
  await client.query(
    `delete from public.teams t where t.id = (select x.id from public.teams x where x.organization_id = $1
       and not exists (select from public.users u where u.team_id = x.id) order by x.id limit 1)`,
    [tenant],
  );
}

async function settle({ client, random, tenant }: Scene): Promise<void> {
  await client.query(
    `update public.organizations set settings = jsonb_set(settings, '{theme}', to_jsonb($2::text)), allowed_days = int4range(1, $3) where id = $1`,
    [tenant, random.pick(['light', 'dark', 'sepia']), 3 + random.int(5)],
  );
}

/** Listed as often as they happen. */
export const ACTIONS: readonly Action[] = [
  ...Array<Action>(4).fill({ name: 'sign in', run: signIn }),
  ...Array<Action>(6).fill({ name: 'write', run: write }),
  ...Array<Action>(6).fill({ name: 'edit', run: edit }),
  ...Array<Action>(3).fill({ name: 'tag', run: tag }),
  ...Array<Action>(2).fill({ name: 'move folder', run: moveFolder }),
  ...Array<Action>(3).fill({ name: 'comment', run: comment }),
  ...Array<Action>(2).fill({ name: 'delete', run: remove }),
  { name: 'import', run: importMany },
  { name: 'savepoint', run: withSavepoint },
  { name: 'long transaction', run: takeTime },
  { name: 'reorganize', run: reorganize },
  { name: 'settings', run: settle },
];
