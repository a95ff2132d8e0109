/**
 * What undos need to know of the schema, read once per connection. A service keeps a desk open, so that bringing back one
 * field costs a few small queries; whether the schema has moved since is asked again inside every transaction.
 */
import { bind } from '../../datamap/bind.ts';
import type { BoundMap, BoundTable, DataMap } from '../../datamap/types.ts';
import { type Client, connect } from '../../sql.ts';
import { Crossing } from '../crossing.ts';
import { readTargets, type TargetTable } from '../target.ts';
import { readStamped } from './stamped.ts';
import { type Stamps, stampSql } from './stamps.ts';
import { type PlainUnique, readPlainUniques } from './uniques.ts';

export interface Facts {
  readonly bound: BoundMap;
  /** Tables of tenants, by Holdfast's id. */
  readonly targets: ReadonlyMap<number, TargetTable>;
  readonly byName: ReadonlyMap<string, TargetTable>;
  readonly crossing: Crossing;
  readonly uniques: ReadonlyMap<number, readonly PlainUnique[]>;
  /** Columns that every write stamps, by Holdfast's id of the table. */
  readonly stamped: ReadonlyMap<number, ReadonlySet<string>>;
  /** Tables whose row-level security binds this role. */
  readonly guarded: readonly BoundTable[];
  readonly stamps: Stamps;
}

export class Desk {
  readonly client: Client;
  readonly #map: DataMap;
  #facts: Facts | undefined;

  constructor(client: Client, map: DataMap) {
    this.client = client;
    this.#map = map;
  }

  static async open(url: string, map: DataMap): Promise<Desk> {
    return new Desk(await connect(url, 'holdfast-undo'), map);
  }

  async facts(): Promise<Facts> {
    this.#facts ??= await readFacts(this.client, this.#map);
    return this.#facts;
  }

  /** The schema has changed: it is read again when next asked for. */
  forget(): void {
    this.#facts = undefined;
  }

  async close(): Promise<void> {
    if ('end' in this.client) await this.client.end();
  }
}

async function readFacts(client: Client, map: DataMap): Promise<Facts> {
  const ids = await client.query('select id from holdfast.tables where dropped_at is null');
  // Before everything else: what changes while the rest is read will be noticed.
  const stamps = await client.query(stampSql(ids.rows.map((r) => r.id as number)));
  const bound = await bind(client, map);
  const tables = bound.tables.filter((t) => t.tenant && t.key.length > 0);
  const targets = await readTargets(client, tables);
  const { rows } = await client.query('select oid from unnest($1::oid[]) oid where row_security_active(oid)', [
    tables.map((t) => t.oid),
  ]);
  const guarded = new Set(rows.map((r) => r.oid as number));
  return {
    bound,
    targets: new Map(targets.map((t) => [t.bound.id, t])),
    byName: new Map(targets.map((t) => [t.bound.name, t])),
    crossing: await Crossing.load(client, bound.tables),
    uniques: await readPlainUniques(client, tables),
    stamped: await readStamped(client, tables),
    guarded: tables.filter((t) => guarded.has(t.oid)),
    stamps: new Map(stamps.rows.map((r) => [r.id as number, r.stamp as string])),
  };
}
