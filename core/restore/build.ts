/** The steps from an empty database to one that holds the state of a chain: shared by the restore and by the restore test. */
import type { Context } from '../context.ts';
import { bind } from '../datamap/bind.ts';
import type { BoundMap } from '../datamap/types.ts';
import { createSchema } from '../schema/create.ts';
import { writeSequences } from '../schema/sequences.ts';
import type { SchemaKind, SchemaRecord } from '../schema/types.ts';
import { type Client, splitTableName, transaction } from '../sql.ts';
import type { Chain } from './chain.ts';
import { type LoadTable, loadChunks } from './chunks.ts';
import { withoutErased } from './erasure.ts';
import { foldStream } from './fold.ts';
import { loadLogs, readLogs } from './logTable.ts';
import { keyOf } from './record.ts';
import { type Replayed, replay } from './replay.ts';
import type { RowSet } from './rowSet.ts';
import { readSchemaObject } from './schemaObject.ts';
import { Stage, type StagedTable } from './stage.ts';
import { slabReader, wantedTenants } from './storePlan.ts';
import { readTargets } from './target.ts';

export interface BuildOptions {
  /** null: everything. */
  readonly tenant: string | null;
  /** Called when the base's rows are in, and after each table's log was replayed; a restore test looks closer here. */
  readonly watch?: {
    readonly rowSet: (table: string) => RowSet;
    readonly loaded: (client: Client) => Promise<void>;
    readonly replayed: (client: Client, net: StagedTable) => Promise<void>;
  };
}

export interface Built {
  readonly tables: number;
  readonly rows: number;
  readonly changes: number;
  readonly erased: number;
  readonly notes: readonly string[];
}

/** Everything that finds rows is made before the log is replayed; what checks or reacts to them is made after. */
const FINDERS: ReadonlySet<SchemaKind> = new Set<SchemaKind>([
  'key',
  'index',
  'partitioned key',
  'partitioned index',
  'index partition',
]);

export async function buildDatabase(
  ctx: Context,
  clients: readonly Client[],
  chain: Chain,
  options: BuildOptions,
): Promise<Built> {
  const main = clients[0]!;
  const reader = withoutErased(await slabReader(ctx), ctx.ledger);
  // The newest schema of the chain: tables of the log must be there, also those that came after the base.
  const { schema, sequences } = await readSchemaObject(reader, chain.logs.at(-1)!);
  const notes = [...(await createSchema(clients, schema, 'before-data')).notes];

  const tables = loadTables(ctx, chain);
  const { progress } = ctx;
  const loaded = await loadChunks(clients, {
    reader,
    chain,
    tenant: options.tenant,
    tables,
    progress,
    ...(options.watch ? { rowSets: options.watch.rowSet } : {}),
  });
  await options.watch?.loaded(main);

  const size = tableSize(chain);
  const { finders, rest } = split(schema);
  notes.push(...(await createSchema(clients, finders, 'after-data', { size })).notes);
  const replayed = await replayLogs(ctx, main, reader, chain, options);
  notes.push(...(await createSchema(clients, rest, 'after-data', { size })).notes);
  const lost = await writeSequences(main, sequences);
  notes.push(...lost.map((name) => `Sequence ${name} is not in the schema; its value was left out.`));
  return {
    tables: tables.size,
    rows: loaded.rows + replayed.inserted - replayed.deleted,
    changes: replayed.inserted + replayed.updated + replayed.deleted,
    erased: loaded.erased,
    notes: [...new Set(notes)],
  };
}

function split(schema: SchemaRecord): { finders: SchemaRecord; rest: SchemaRecord } {
  const views = new Set(schema.objects.filter((o) => o.kind === 'materialized view').map((o) => o.name));
  const { yes = [], no = [] } = Object.groupBy(schema.objects, (o) =>
    FINDERS.has(o.kind) && !views.has(o.table ?? '') ? 'yes' : 'no',
  );
  return { finders: { ...schema, objects: yes }, rest: { ...schema, objects: no } };
}

/** Tables as the backups name them, with what loading needs of the data map. */
function loadTables(ctx: Context, chain: Chain): Map<string, LoadTable> {
  const rules = new Map(ctx.map.tables.map((t) => [t.name, t]));
  const latest = new Map(chain.logs.at(-1)!.tables.map((t) => [t.id, t.name]));
  return new Map(
    chain.base.tables.map((t) => {
      const name = latest.get(t.id) ?? t.name;
      const rule = rules.get(name);
      return [t.name, { ...splitTableName(name), erase: rule?.erase ?? 'delete', tenant: rule?.tenant !== undefined }];
    }),
  );
}

function tableSize(chain: Chain): (table: string) => number {
  const bytes = new Map<string, number>();
  for (const { name, rows } of chain.base.tables) bytes.set(name, rows);
  return (table) => bytes.get(table) ?? 0;
}

async function replayLogs(
  ctx: Context,
  client: Client,
  reader: Parameters<typeof loadLogs>[1],
  chain: Chain,
  options: BuildOptions,
): Promise<Replayed> {
  const total = { inserted: 0, updated: 0, deleted: 0 };
  await transaction(client, '', async () => {
    if ((await loadLogs(client, reader, chain, wantedTenants(options.tenant))) === 0) return;
    const bound = withIds(await bind(client, ctx.map), chain);
    const targets = await readTargets(client, bound.tables);
    const net = new Stage(client, targets, keyOf);
    await net.load(foldStream(readLogs(client, bound, chain.moment), 'forward'));
    for (const staged of net.tables) {
      const done = await replay(client, staged, staged.target.sql);
      total.inserted += done.inserted;
      total.updated += done.updated;
      total.deleted += done.deleted;
      await options.watch?.replayed(client, staged);
    }
  });
  return total;
}

/** The new database knows no ids yet: those of the backups are used, and tables that no backup names are left out. */
function withIds(bound: BoundMap, chain: Chain): BoundMap {
  const ids = new Map(chain.logs.flatMap((m) => m.tables).map((t) => [t.name, t.id]));
  return { ...bound, tables: bound.tables.filter((t) => ids.has(t.name)).map((t) => ({ ...t, id: ids.get(t.name)! })) };
}
