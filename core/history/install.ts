/** Puts Holdfast into a database, or brings it up to date: schema, triggers, first horizon, in one transaction. */
import type { BoundMap, BoundTable, Reach } from '../datamap/types.ts';
import { ConfigError } from '../errors.ts';
import { type Client, qualified } from '../sql.ts';
import { advance } from './advance.ts';
import { followDdl, startFollowing } from './followDdl.ts';
import { underLock } from './lock.ts';
import { migrate } from './migrate.ts';
import { createPartitions } from './partitions.ts';
import { checkRights } from './rights.ts';

export interface InstallReport {
  /** Files of sql/ that were applied now. */
  readonly migrations: readonly string[];
  /** Tables whose changes are captured. */
  readonly tables: readonly string[];
  /** Those among them that are protected from now on. */
  readonly added: readonly string[];
  /** Those that are no longer, because the map leaves them out; their history stays. */
  readonly removed: readonly string[];
  /** Whether schema changes are followed by an event trigger; if not, `doctor` finds them and `install` follows. */
  readonly followsDdl: boolean;
  /** What the user should know, in sentences. */
  readonly notes: readonly string[];
}

/**
 * Idempotent. Waits at most `lockTimeout` milliseconds for each table (default 10 s); nothing is changed when it fails.
 * @throws DatabaseError HF_RIGHTS_MISSING, HF_LOCK_TIMEOUT, HF_SCHEMA_NEWER
 */
export async function install(
  client: Client,
  bound: BoundMap,
  options: { lockTimeout?: number } = {},
): Promise<InstallReport> {
  return underLock(client, options.lockTimeout ?? 10_000, async () => {
    await checkRights(client, bound);
    const migrations = await migrate(client);
    await createPartitions(client);
    const known = await knownTables(client);
    const added = bound.tables.filter((t) => !known.has(t.oid));
    // In one order, so that two installs cannot wait for each other. With writers shut out, nothing is in flight that the
    // triggers would miss.
    for (const table of [...bound.tables].sort((a, b) => a.oid - b.oid)) {
      await client.query(`lock table ${qualified(table.schema, table.relname)} in share row exclusive mode`);
    }
    const removed = await forget(client, bound);
    const { moment } = await firstMoment(client);
    await fillRules(client, bound, moment);
    const followsDdl = await followDdl(client);
    // `follow` writes the triggers of tables that are new or have changed; those of the rest may have new rules to keep.
    await client.query(
      `with followed as materialized (
         select id, holdfast.follow(id) as generated from (select id from holdfast.tables where dropped_at is null order by id) t)
       select holdfast.generate(id) from followed where not generated`,
    );
    if (followsDdl) await startFollowing(client);
    return {
      migrations,
      tables: bound.tables.map((t) => t.name),
      added: added.map((t) => t.name),
      removed,
      followsDdl,
      notes: await notes(client, bound, followsDdl),
    };
  });
}

async function knownTables(client: Client): Promise<Set<number>> {
  const { rows } = await client.query('select oid::int8::text as oid from holdfast.tables where dropped_at is null');
  return new Set(rows.map((row) => Number(row.oid)));
}

/** The horizon before which there is no history. It is taken while no protected table can be written. */
async function firstMoment(client: Client): Promise<{ moment: string }> {
  await client.query('select setval($1, nextval($1), true)', ['holdfast.seq']);
  await advance(client);
  const { rows } = await client.query('select until::text as moment from holdfast.horizons order by id desc limit 1');
  return rows[0]!;
}

async function forget(client: Client, bound: BoundMap): Promise<string[]> {
  const { rows } = await client.query(
    'select id, name, oid::regclass::text as sql from holdfast.tables where dropped_at is null and oid <> all($1::oid[])',
    [bound.tables.map((t) => t.oid)],
  );
  for (const row of rows) await client.query('select holdfast.release($1)', [row.id]);
  return rows.map((row) => row.name as string);
}

async function fillRules(client: Client, bound: BoundMap, moment: string): Promise<void> {
  for (const table of bound.tables) {
    await client.query(
      `insert into holdfast.tables (oid, name, rule, protected_at) values ($1, holdfast.table_name($1), '{}', $2)
       on conflict (oid) do nothing`,
      [table.oid, moment],
    );
  }
  const { rows } = await client.query(
    'select id, oid::int8::text as oid from holdfast.tables where dropped_at is null',
  );
  const ids = new Map(rows.map((row) => [Number(row.oid), row.id as number]));
  for (const table of bound.tables) {
    const rule = {
      key: [],
      ...(table.tenant && { tenant: reachRule(bound, table, table.tenant, ids) }),
      ...(table.person && { person: reachRule(bound, table, table.person, ids) }),
    };
    await client.query(
      "update holdfast.tables set rule = jsonb_set($2, '{key}', holdfast.key_of(oid)) where oid = $1",
      [table.oid, JSON.stringify(rule)],
    );
  }
}

/** Names become attribute numbers and table ids, which survive renaming. */
function reachRule(bound: BoundMap, table: BoundTable, reach: Reach, ids: ReadonlyMap<number, number>): object {
  const number = (t: BoundTable, name: string) => t.columns.find((c) => c.name === name)!.attnum;
  if (reach.kind === 'column') return { kind: 'column', column: number(table, reach.column) };
  const parent = bound.tables.find((t) => t.name === reach.parent);
  if (!parent) {
    throw new ConfigError('HF_REACH_INVALID', `${table.name} is reached via ${reach.parent}, which is not protected.`, {
      action: `Add ${reach.parent} to the tables of holdfast.yaml.`,
    });
  }
  return {
    kind: 'via',
    columns: reach.columns.map((c) => number(table, c)),
    parent: ids.get(parent.oid)!,
    parentColumns: reach.parentColumns.map((c) => number(parent, c)),
  };
}

async function notes(client: Client, bound: BoundMap, followsDdl: boolean): Promise<string[]> {
  const result: string[] = [];
  const { rows } = await client.query("select current_setting('track_commit_timestamp') as track");
  if (rows[0].track !== 'on') {
    result.push(
      'track_commit_timestamp is off: only horizons and restore points can be restored to. Set it to on and restart the server.',
    );
  }
  if (!followsDdl) {
    result.push(
      'This role may not create event triggers (only superusers and rds_superuser may), so a schema change is not noticed when it is made but at the next write of its table or "holdfast maintain". Run holdfast install after each migration.',
    );
  }
  const keyless = bound.tables.filter((t) => t.key.length === 0).map((t) => t.name);
  if (keyless.length > 0) {
    result.push(`Without a key, changes are recorded but cannot be told apart by record: ${keyless.join(', ')}.`);
  }
  return result;
}
