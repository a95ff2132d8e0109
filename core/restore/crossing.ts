/**
 * Carrying history across changes of a table's shape. A column is known by its attribute number, so a rename is followed, and
 * a column that came later is filled with what rows from before it hold. Where that would not be right, the restore is
 * refused by name.
 */

import type { BoundTable } from '../datamap/types.ts';
import { RestoreError } from '../errors.ts';
import { inCut } from '../history/snapshots.ts';
import type { Change, Cut, Text } from '../history/types.ts';
import type { Client } from '../sql.ts';

interface Shape {
  readonly version: number;
  readonly fromSeq: bigint;
  readonly xid: bigint;
  readonly barrier: string | null;
  readonly columns: readonly { readonly attnum: number; readonly name: string; readonly missing: Text }[];
}

type Known = ReadonlyMap<number, { readonly table: BoundTable; readonly shapes: readonly Shape[] }>;

export class Crossing {
  readonly #tables: Known;

  private constructor(tables: Known) {
    this.#tables = tables;
  }

  static async load(client: Client, tables: readonly BoundTable[]): Promise<Crossing> {
    const { rows } = await client.query(
      `select table_id as id, version, from_seq::text as seq, xid::text, columns, barrier
         from holdfast.table_versions where table_id = any($1) order by table_id, version`,
      [tables.map((t) => t.id)],
    );
    return new Crossing(
      new Map(
        tables.map((table) => {
          const own = rows.filter((r) => r.id === table.id);
          const shapes = own.map((r) => ({ ...r, fromSeq: BigInt(r.seq), xid: BigInt(r.xid) }) as Shape);
          return [table.id, { table, shapes }];
        }),
      ),
    );
  }

  /**
   * Refuses a target that lies before a change which history cannot be carried across.
   * @throws RestoreError HF_SCHEMA_CHANGED
   */
  check(cut: Cut, dropped: 'refuse' | 'ignore'): void {
    for (const { table, shapes } of this.#tables.values()) {
      const later = shapes.filter((s) => !inCut(s.xid, cut) && s.version > shapes[0]!.version);
      if (later.length > 0) this.#refuse(table, shapes[shapes.indexOf(later[0]!) - 1]!, later, dropped);
    }
  }

  /** The same for rows that were read when the table had this version. */
  checkFrom(tableId: number, version: number, dropped: 'refuse' | 'ignore'): void {
    const { table, shapes } = this.#tables.get(tableId)!;
    const then = shapes.find((s) => s.version === version);
    const later = shapes.filter((s) => s.version > version);
    if (then && later.length > 0) this.#refuse(table, then, later, dropped);
  }

  /** The same for a change with this seq, and all that follow it. */
  checkSince(tableId: number, seq: bigint, dropped: 'refuse' | 'ignore'): void {
    const { table, shapes } = this.#tables.get(tableId)!;
    const then = shapes.findLast((s) => s.fromSeq <= seq) ?? shapes[0];
    const later = shapes.filter((s) => s.version > (then?.version ?? 0));
    if (then && later.length > 0) this.#refuse(table, then, later, dropped);
  }

  #refuse(table: BoundTable, then: Shape, later: readonly Shape[], dropped: 'refuse' | 'ignore'): void {
    const barrier = later.find((s) => s.barrier !== null)?.barrier;
    const gone = then.columns.filter((c) => !table.columns.some((now) => now.attnum === c.attnum)).map((c) => c.name);
    const reason =
      barrier ?? (dropped === 'refuse' && gone.length > 0 ? `column ${gone.join(', ')} was dropped` : undefined);
    if (!reason) return;
    throw new RestoreError('HF_SCHEMA_CHANGED', `${table.name} has changed since: ${reason}.`, {
      action: barrier
        ? 'Restore to a moment after that change, or into an empty database from a backup.'
        : 'Restore to a moment after that change, or into an empty database, or accept that those values are lost.',
      details: { table: table.name, reason, columns: gone },
    });
  }

  /** The present name of a column that had this name in a version; undefined when it is gone. */
  nameNow(tableId: number, version: number, name: string): string | undefined {
    const { table, shapes } = this.#tables.get(tableId)!;
    const shape = shapes.find((s) => s.version === version);
    if (!shape || shape === shapes.at(-1)) return name;
    const attnum = shape.columns.find((c) => c.name === name)?.attnum;
    return table.columns.find((c) => c.attnum === attnum)?.name;
  }

  /** Rewrites changes in the table's present columns. `version` says which shape a change was logged under. */
  async *carry<C extends Change>(changes: AsyncIterable<C>, version?: (change: C) => number): AsyncGenerator<C> {
    for await (const change of changes) {
      const known = this.#tables.get(change.table);
      const last = known?.shapes.at(-1);
      const shape = known && this.#shapeOf(known.shapes, change, version);
      yield !shape || shape === last ? change : { ...change, changes: this.#renamed(change, shape) };
    }
  }

  #shapeOf<C extends Change>(shapes: readonly Shape[], change: C, version?: (change: C) => number): Shape | undefined {
    if (version) return shapes.find((s) => s.version === version(change));
    return shapes.findLast((s) => s.fromSeq <= change.seq);
  }

  #renamed(change: Change, shape: Shape): Change['changes'] {
    if (!change.changes) return null;
    const renamed: Record<string, Text | readonly [Text, Text]> = {};
    for (const [name, value] of Object.entries(change.changes)) {
      const now = this.nameNow(change.table, shape.version, name);
      if (now !== undefined) renamed[now] = value;
    }
    if (change.action !== 'U') Object.assign(renamed, this.missing(change.table, shape.version));
    return renamed;
  }

  /** Columns that came after a version, with what rows from before hold in them. */
  missing(tableId: number, version: number): Record<string, Text> {
    const { table, shapes } = this.#tables.get(tableId)!;
    const then = shapes.find((s) => s.version === version);
    const values: Record<string, Text> = {};
    for (const column of table.columns) {
      if (column.generated || !then || then.columns.some((c) => c.attnum === column.attnum)) continue;
      const first = shapes.find((s) => s.version > version && s.columns.some((c) => c.attnum === column.attnum));
      values[column.name] = first?.columns.find((c) => c.attnum === column.attnum)?.missing ?? null;
    }
    return values;
  }
}
