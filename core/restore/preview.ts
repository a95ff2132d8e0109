/** What a restore is about to do, as data: counts, sample rows with before and after, and a fingerprint of all of it. */
import { createHash } from 'node:crypto';
import type { Text } from '../history/types.ts';
import { type Client, ident } from '../sql.ts';
import { batch, union } from './batch.ts';
import { digestSql } from './digest.ts';
import type { StagedTable } from './stage.ts';
import type { TableWork } from './statement.ts';
import { keyMatch } from './target.ts';

export interface RowSample {
  readonly table: string;
  readonly action: 'insert' | 'update' | 'delete';
  readonly record: string;
  /** Columns that differ; all of them for an insert or a delete. */
  readonly before: Readonly<Record<string, Text>> | null;
  readonly after: Readonly<Record<string, Text>> | null;
}

const ACTIONS = { I: 'insert', U: 'update', D: 'delete' } as const;

/** Up to `limit` rows per table, some of each action, before anything is written. */
export async function sampleRows(client: Client, works: readonly TableWork[], limit: number): Promise<RowSample[]> {
  const byId = new Map(works.map(({ staged }) => [staged.target.bound.id, staged.target]));
  const rows = await union<SampleRow>(
    client,
    works.map(({ staged }) => someRows(staged, limit)),
  );
  return rows.map((row): RowSample => {
    const { bound, columns } = byId.get(row.id)!;
    const action = ACTIONS[row.do];
    const shown = columns.map((c) => action !== 'update' || row.changed.includes(c.attnum));
    const pick = (from: Text[]) =>
      Object.fromEntries(columns.map((c, i) => [c.name, from[i] ?? null]).filter((_, i) => shown[i]));
    return {
      table: bound.name,
      action,
      record: row.record,
      before: action === 'insert' ? null : pick(row.live),
      after: action === 'delete' ? null : pick(row.staged),
    };
  });
}

interface SampleRow {
  readonly id: number;
  readonly do: keyof typeof ACTIONS;
  readonly record: string;
  readonly changed: number[];
  readonly staged: Text[];
  readonly live: Text[];
}

function someRows({ target, sql }: StagedTable, limit: number): string {
  const values = (row: string) =>
    target.columns.map(
      (c) => `case when ${row}.${ident(c.name)} is not null then format('%s', ${row}.${ident(c.name)}) end`,
    );
  return `select ${target.bound.id} as id, s._hf_do::text as do, s._hf_record as record, s._hf_changed as changed,
              array[${values('s').join(', ')}]::text[] as staged, array[${values('t').join(', ')}]::text[] as live
         from ${sql} s left join ${target.sql} t on ${keyMatch(target, 't', 's')}
        where s._hf_do in ('I', 'U', 'D')
        order by row_number() over (partition by s._hf_do order by s._hf_record), s._hf_do limit ${Math.trunc(limit)}`;
}

/**
 * SHA-256 over every row that will be written, as it is and as it will be. Two plans with one fingerprint do the same to the
 * same rows; anything that moves in between and matters changes it.
 */
export async function fingerprint(
  client: Client,
  works: readonly TableWork[],
  subject: readonly string[],
): Promise<string> {
  const hash = createHash('sha256').update(JSON.stringify(subject));
  const sorted = [...works].sort((a, b) => (a.staged.target.bound.name < b.staged.target.bound.name ? -1 : 1));
  const digests = await batch(
    client,
    sorted.map(({ staged }) => digestSql(plannedRows(staged))),
  );
  sorted.forEach(({ staged }, i) => {
    const [{ rows, digest }] = digests[i]!.rows;
    if (rows > 0) hash.update(JSON.stringify([staged.target.bound.name, rows, digest]));
  });
  return hash.digest('hex');
}

function plannedRows({ target, sql }: StagedTable): string {
  const row = (alias: string) => `row(${target.columns.map((c) => `${alias}.${ident(c.name)}`).join(', ')})::text`;
  return `select concat_ws('|', s._hf_do, s._hf_record, case when s._hf_do <> 'D' then ${row('s')} end, ${row('t')}) as r
    from ${sql} s left join ${target.sql} t on ${keyMatch(target, 't', 's')} where s._hf_do in ('I', 'U', 'D')`;
}
