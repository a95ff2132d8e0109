/** The state of single tables out of a chain of backups, put into an engine when a query asks for them. */
import type { Context } from '../../context.ts';
import { bind } from '../../datamap/bind.ts';
import type { BoundMap } from '../../datamap/types.ts';
import { RestoreError } from '../../errors.ts';
import type { Chain } from '../../restore/chain.ts';
import { copyIn } from '../../restore/copy.ts';
import { restorable } from '../../restore/erasedRows.ts';
import { foldStream } from '../../restore/fold.ts';
import { loadLogs, readLogs } from '../../restore/logTable.ts';
import { keyOf } from '../../restore/record.ts';
import { replay } from '../../restore/replay.ts';
import { SlabQueue, slabsOf } from '../../restore/slabQueue.ts';
import { Stage } from '../../restore/stage.ts';
import { wantedTenants } from '../../restore/storePlan.ts';
import { readTargets, type TargetTable } from '../../restore/target.ts';
import { type Client, ident, transaction } from '../../sql.ts';
import type { SlabReader } from '../readSlab.ts';
import { SHARED } from '../types.ts';

export interface LoaderOptions {
  readonly reader: SlabReader;
  readonly chain: Chain;
  /** null: everything. */
  readonly tenant: string | null;
}

export class Loader {
  readonly #ctx: Context;
  readonly #client: Client;
  readonly #options: LoaderOptions;
  readonly #bound: BoundMap;
  readonly #targets: ReadonlyMap<string, TargetTable>;
  #logged: Promise<ReadonlySet<string>> | undefined;

  private constructor(ctx: Context, client: Client, options: LoaderOptions, bound: BoundMap, targets: TargetTable[]) {
    this.#ctx = ctx;
    this.#client = client;
    this.#options = options;
    this.#bound = bound;
    this.#targets = new Map(targets.map((t) => [t.bound.name, t]));
  }

  /** `client` has the schema of the chain's last backup, with its keys. */
  static async prepare(ctx: Context, client: Client, options: LoaderOptions): Promise<Loader> {
    const bound = withIds(await bind(client, ctx.map), options.chain);
    return new Loader(ctx, client, options, bound, await readTargets(client, bound.tables));
  }

  /** Tables whose rows these backups hold. */
  get tables(): readonly string[] {
    return [...this.#targets.keys()].filter((name) => !this.#options.chain.excluded.includes(name));
  }

  target(table: string): TargetTable {
    return this.#targets.get(table)!;
  }

  /** Bytes of rows, as text, that loading these tables comes to: estimated from the manifest alone. */
  estimate(tables: readonly string[]): number {
    const { base } = this.#options.chain;
    const stored = base.totals.bytes === 0 ? 1 : base.totals.rawBytes / base.totals.bytes;
    let bytes = 0;
    for (const { slab } of this.#slabs(tables)) {
      const rows = Object.values(slab.rows).reduce((sum, n) => sum + n, 0);
      const wanted = Object.entries(slab.rows).reduce(
        (sum, [t, n]) => sum + (tables.includes(this.#nameNow(t)) ? n : 0),
        0,
      );
      bytes += slab.length * stored * (wanted / Math.max(1, rows));
    }
    return bytes;
  }

  /** Loads tables that are empty so far. @returns how many rows of erased persons stayed out */
  async load(tables: readonly string[]): Promise<number> {
    this.#logged ??= this.#readLogs();
    const logged = await this.#logged;
    let erased = 0;
    await transaction(this.#client, '', async () => {
      const into = new Map<string, string>();
      for (const name of tables) {
        const target = this.#targets.get(name)!;
        into.set(name, logged.has(name) ? await this.#makeStage(target) : target.sql);
      }
      erased = await this.#copy(into);
      const bound = {
        ...this.#bound,
        tables: this.#bound.tables.filter((t) => logged.has(t.name) && into.has(t.name)),
      };
      if (bound.tables.length > 0) await this.#carry(bound, into);
      for (const name of tables) await this.#client.query(`analyze ${this.#targets.get(name)!.sql}`);
    });
    return erased;
  }

  async #readLogs(): Promise<ReadonlySet<string>> {
    const { reader, chain, tenant } = this.#options;
    if ((await loadLogs(this.#client, reader, chain, wantedTenants(tenant))) === 0) return new Set();
    const { rows } = await this.#client.query<{ name: string }>(
      'select distinct "table" as name from pg_temp."_hf_log"',
    );
    return new Set(rows.map((r) => r.name));
  }

  /**
   * Chunks of different moments may hold a row twice, or a value that is unique twice; the log puts that right. So rows of a
   * table that has a log are gathered in one without constraints, and moved when they are what they should be.
   */
  async #makeStage(target: TargetTable): Promise<string> {
    const sql = `pg_temp.${ident(`_hf_base_${target.bound.id}`)}`;
    const columns = target.columns.map((c) => ident(c.name)).join(', ');
    await this.#client.query(
      `create temporary table ${sql} on commit drop as select ${columns} from ${target.sql} with no data`,
    );
    for (const { name, default: value } of target.bound.columns) {
      // What rows from before the column was added have in it.
      if (value !== undefined && target.columns.some((c) => c.name === name))
        await this.#client.query(`alter table ${sql} alter column ${ident(name)} set default ${value}`);
    }
    return sql;
  }

  async #copy(into: ReadonlyMap<string, string>): Promise<number> {
    const { reader, tenant } = this.#options;
    const { progress } = this.#ctx;
    const refs = this.#slabs([...into.keys()]);
    progress.start(
      'Opening',
      refs.reduce((sum, r) => sum + r.slab.length, 0),
      'bytes',
    );
    let erased = 0;
    for await (const { ref, sections } of new SlabQueue(reader, refs).take()) {
      for (const section of sections) {
        const table = this.#nameNow(section.table);
        const sql = into.get(table);
        const { bound } = this.#targets.get(table) ?? {};
        // Rows of a tenant table that belong to no tenant are not part of one tenant.
        if (!sql || !bound || (tenant !== null && ref.slab.tenant === SHARED && bound.tenant)) continue;
        const { data, dropped } = restorable(section, bound.erase);
        erased += dropped;
        const columns = section.columns.map(ident).join(', ');
        await copyIn(this.#client, `copy ${sql} (${columns}) from stdin`, [data]).catch((cause) => {
          throw (cause as { code?: string }).code === '42703' ? changed(table, cause) : cause;
        });
      }
      progress.advance(ref.slab.length);
    }
    progress.done();
    return erased;
  }

  /** Carries the log over what was gathered, and moves the result to where queries look for it. */
  async #carry(bound: BoundMap, into: ReadonlyMap<string, string>): Promise<void> {
    const client = this.#client;
    const targets = bound.tables.map((t) => this.#targets.get(t.name)!);
    const net = new Stage(client, targets, keyOf, '_hf_net');
    await net.load(foldStream(readLogs(client, bound, this.#options.chain.moment), 'forward'));
    for (const staged of net.tables) await replay(client, staged, into.get(staged.target.bound.name)!);
    for (const target of targets) {
      const columns = target.columns.map((c) => ident(c.name)).join(', ');
      await client.query(
        `insert into ${target.sql} (${columns}) overriding system value select ${columns} from ${into.get(target.bound.name)!}`,
      );
    }
  }

  #slabs(tables: readonly string[]) {
    const { chain, tenant } = this.#options;
    const refs = slabsOf(chain.base, 'chunk', wantedTenants(tenant));
    return refs.filter(({ slab }) => Object.keys(slab.rows).some((name) => tables.includes(this.#nameNow(name))));
  }

  /** What a table that the base knows by this name is called by the end of the chain. */
  #nameNow(name: string): string {
    const { base, logs } = this.#options.chain;
    const id = base.tables.find((t) => t.name === name)?.id;
    return logs.at(-1)!.tables.find((t) => t.id === id)?.name ?? name;
  }
}

/** The engine knows no ids yet: those of the backups are used, and tables that no backup names are left out. */
function withIds(bound: BoundMap, chain: Chain): BoundMap {
  const ids = new Map(chain.logs.flatMap((m) => m.tables).map((t) => [t.name, t.id]));
  return { ...bound, tables: bound.tables.filter((t) => ids.has(t.name)).map((t) => ({ ...t, id: ids.get(t.name)! })) };
}

const changed = (table: string, cause: unknown) =>
  new RestoreError('HF_SCHEMA_CHANGED', `${table} has changed since the base was taken: ${(cause as Error).message}.`, {
    cause,
    action: 'Open it at a moment before that change, or from a full backup taken after it.',
    details: { table },
  });
