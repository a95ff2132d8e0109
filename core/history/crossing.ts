/** Carrying rows of a table across changes of its schema. */
import { type Moment, parseMoment } from '../moment.ts';
import type { Client } from '../sql.ts';
import { atSql } from './moments.ts';
import type { Text } from './types.ts';

export interface VersionColumn {
  readonly attnum: number;
  readonly name: string;
  readonly type: string;
  readonly generated: '' | 's' | 'v';
  /** What rows written before the column existed have in it. */
  readonly missing: Text;
}

/** What a table looked like from `fromSeq` on. */
export interface TableVersion {
  readonly table: string;
  readonly version: number;
  /** Changes with this seq or a later one have this shape; earlier ones have that of the version before. */
  readonly fromSeq: bigint;
  readonly columns: readonly VersionColumn[];
  /** Why history before cannot be carried into this version; null when it can. */
  readonly barrier: string | null;
  readonly notedAt: Moment;
}

export type Crossing =
  | {
      readonly possible: true;
      /** For each column of the target: the column of the source that it was, or the constant that such rows have. */
      readonly columns: Readonly<Record<string, { readonly from: string } | { readonly constant: Text }>>;
      /** Columns of the source that the target lacks. */
      readonly lost: readonly string[];
    }
  | { readonly possible: false; readonly table: string; readonly when: Moment; readonly reason: string };

/** The versions of one table, oldest first. */
export async function readVersions(client: Client, tableId: number): Promise<TableVersion[]> {
  const { rows } = await client.query(
    `select t.name as "table", v.version, v.from_seq::text as "fromSeq", v.columns, v.barrier, ${atSql('v.noted_at')} as "notedAt"
       from holdfast.table_versions v join holdfast.tables t on t.id = v.table_id where v.table_id = $1 order by v.version`,
    [tableId],
  );
  return rows.map(
    (row) => ({ ...row, fromSeq: BigInt(row.fromSeq), notedAt: parseMoment(row.notedAt) }) as TableVersion,
  );
}

/** The version that a change of that seq was written in. `versions` oldest first. */
export const versionAt = (versions: readonly TableVersion[], seq: bigint): TableVersion | undefined =>
  versions.findLast((v) => v.fromSeq <= seq) ?? versions[0];

/**
 * How rows of version `from` become rows of version `to` (either may be the older), or why they cannot. Columns are followed
 * by attribute number, so renaming is no obstacle.
 */
export function crossing(versions: readonly TableVersion[], from: number, to: number): Crossing {
  const [low, high] = from < to ? [from, to] : [to, from];
  const wall = versions.find((v) => v.version > low && v.version <= high && v.barrier !== null);
  if (wall) return { possible: false, table: wall.table, when: wall.notedAt, reason: wall.barrier! };
  const source = versions.find((v) => v.version === from)!.columns;
  const target = versions.find((v) => v.version === to)!.columns;
  const was = new Map(source.map((c) => [c.attnum, c]));
  const columns = target.map((c): [string, { from: string } | { constant: Text }] => {
    const old = was.get(c.attnum);
    return [c.name, old ? { from: old.name } : { constant: c.missing ?? firstMissing(versions, c.attnum) }];
  });
  const kept = new Set(target.map((c) => c.attnum));
  return {
    possible: true,
    columns: Object.fromEntries(columns),
    lost: source.filter((c) => !kept.has(c.attnum)).map((c) => c.name),
  };
}

/** A table that is rewritten loses its note of the constant; the version that added the column keeps it. */
function firstMissing(versions: readonly TableVersion[], attnum: number): Text {
  for (const version of versions) {
    const column = version.columns.find((c) => c.attnum === attnum);
    if (column) return column.missing;
  }
  return null;
}
