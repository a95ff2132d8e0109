/**
 * Staging: what should be, in temporary tables shaped like the real ones, one per table that a restore touches. Values go in
 * through COPY, that is through each type's own input function, so they are exactly what they were.
 */
import { IntegrityError, RestoreError } from '../errors.ts';
import type { Text } from '../history/types.ts';
import { type Client, ident } from '../sql.ts';
import { batch, union } from './batch.ts';
import { copyField, copyIn } from './copy.ts';
import type { Net } from './fold.ts';
import { keyMatch, type TargetTable } from './target.ts';

/** Bytes gathered for one table before they are sent. */
const BATCH = 1 << 20;

export interface StagedTable {
  readonly target: TargetTable;
  /** SQL name of the staging table. */
  readonly sql: string;
}

/** Turns the record text of a change into the values of the table's key columns. */
export type KeyOf = (target: TargetTable, record: string) => readonly Text[];

/**
 * Service columns of a staging table: `_hf_record`; `_hf_kind` F full row, P partly known, A absent; `_hf_set` attribute
 * numbers that a P row knows; `_hf_do` what is to be done (I, U, D, R replace, - nothing); `_hf_changed` columns that differ;
 * `_hf_late` a delete that must wait for the rows that still point at it.
 */
const SERVICE = `_hf_record text collate "C", _hf_kind "char" not null default 'F', _hf_set int2[], _hf_do "char", _hf_changed int2[],
   _hf_late boolean not null default false`;

export class Stage {
  readonly #client: Client;
  readonly #targets: ReadonlyMap<number, TargetTable>;
  readonly #keyOf: KeyOf;
  readonly #prefix: string;
  readonly #staged = new Map<number, StagedTable>();
  /** Tables that hold partly known rows, or rows that are to go. */
  readonly #gaps = new Set<StagedTable>();

  /** `prefix` tells two stages of one transaction apart. */
  constructor(client: Client, targets: readonly TargetTable[], keyOf: KeyOf, prefix = '_hf_stage') {
    this.#client = client;
    this.#prefix = prefix;
    this.#targets = new Map(targets.map((t) => [t.bound.id, t]));
    this.#keyOf = keyOf;
  }

  get tables(): readonly StagedTable[] {
    return [...this.#staged.values()];
  }

  /** The staging table for a table id, made on first use; it lives until the transaction ends. */
  async table(id: number): Promise<StagedTable> {
    return (await this.make([id]))[0]!;
  }

  /** The same for many, in one round trip. */
  async make(ids: readonly number[]): Promise<StagedTable[]> {
    const missing = ids.filter((id) => !this.#staged.has(id)).map((id) => this.#describe(id));
    await batch(
      this.#client,
      missing.map(({ target, sql }) => {
        const columns = target.columns.map((c) => `${ident(c.name)} ${c.stageType}`);
        return `create temporary table ${sql} (${[SERVICE, ...columns].join(', ')}) on commit drop`;
      }),
    );
    for (const staged of missing) this.#staged.set(staged.target.bound.id, staged);
    return ids.map((id) => this.#staged.get(id)!);
  }

  #describe(id: number): StagedTable {
    const target = this.#targets.get(id);
    if (!target) throw notRestorable(id);
    if (target.bound.key.length === 0) throw keyless(target);
    return { target, sql: `pg_temp.${ident(`${this.#prefix}_${id}`)}` };
  }

  /** Stages a stream of nets, best grouped by table. Memory is bounded by one batch per table in flight. */
  async load(nets: AsyncIterable<Net>): Promise<number> {
    let count = 0;
    let current: { staged: StagedTable; lines: string[]; size: number } | undefined;
    for await (const net of nets) {
      if (current && (current.staged.target.bound.id !== net.table || current.size > BATCH)) {
        await this.#send(current.staged, current.lines);
        current = undefined;
      }
      current ??= { staged: await this.table(net.table), lines: [], size: 0 };
      const line = netLine(current.staged.target, net, this.#keyOf);
      if (net.state.kind !== 'full') this.#gaps.add(current.staged);
      current.lines.push(line);
      current.size += line.length;
      count += 1;
    }
    if (current) await this.#send(current.staged, current.lines);
    return count;
  }

  async #send(staged: StagedTable, lines: readonly string[]): Promise<void> {
    const columns = ['_hf_record', '_hf_kind', '_hf_set', ...staged.target.columns.map((c) => c.name)];
    await copyIn(this.#client, `copy ${staged.sql} (${columns.map(ident).join(', ')}) from stdin`, [lines.join('')]);
  }

  /**
   * Fills the gaps of partly known rows, and rows that are to go, from the live ones: what points where is asked of the stage.
   * And gives the planner statistics. Returns the tables that hold rows.
   */
  async complete(): Promise<StagedTable[]> {
    const gaps = [...this.#gaps];
    await batch(this.#client, gaps.map(fillGaps));
    const lost = await union<{ id: number; record: string }>(
      this.#client,
      gaps.map(
        ({ target, sql }) =>
          `select ${target.bound.id} as id, _hf_record as record from ${sql} where _hf_kind = 'P' limit 5`,
      ),
    );
    if (lost.length > 0) {
      const { id } = lost[0]!;
      throw hole(
        this.#staged.get(id)!.target,
        lost.filter((l) => l.id === id).map((l) => l.record),
      );
    }
    this.#gaps.clear();
    const filled = await this.#filled();
    if (filled.length > 0) await this.#client.query(`analyze ${filled.map((t) => t.sql).join(', ')}`);
    return filled;
  }

  async #filled(): Promise<StagedTable[]> {
    const rows = await union<{ id: number }>(
      this.#client,
      this.tables.map(({ target, sql }) => `select ${target.bound.id} as id where exists (select from ${sql})`),
    );
    return rows.map((r) => this.#staged.get(r.id)!);
  }
}

function fillGaps({ target, sql }: StagedTable): string {
  const filled = target.columns
    .filter((c) => !target.bound.key.includes(c.name))
    .map(
      (c) =>
        `${ident(c.name)} = case when ${c.attnum} = any(s._hf_set) then s.${ident(c.name)} else t.${ident(c.name)} end`,
    );
  return `update ${sql} s set ${["_hf_kind = case s._hf_kind when 'P' then 'F' else 'A' end::\"char\"", ...filled].join(', ')}
     from ${target.sql} t where s._hf_kind in ('P', 'A') and ${keyMatch(target, 't', 's')}`;
}

function netLine(target: TargetTable, net: Net, keyOf: KeyOf): string {
  const { state } = net;
  const known = state.kind === 'full' ? state.row : state.kind === 'partial' ? state.set : {};
  const key = state.kind === 'full' ? undefined : keyOf(target, net.record);
  for (const name of Object.keys(known)) {
    if (!target.bound.columns.some((c) => c.name === name)) throw dropped(target, net.record, name);
  }
  const set: number[] = [];
  const fields = target.columns.map((column) => {
    const at = key ? target.bound.key.indexOf(column.name) : -1;
    if (at >= 0) return copyField(key![at]!);
    const value = known[column.name];
    if (value === undefined) {
      if (state.kind === 'full') throw incomplete(target, net.record, column.name);
      return '\\N';
    }
    set.push(column.attnum);
    return copyField(value);
  });
  const kind = state.kind === 'full' ? 'F' : state.kind === 'partial' ? 'P' : 'A';
  return `${[copyField(net.record), kind, kind === 'P' ? `{${set.join(',')}}` : '\\N', ...fields].join('\t')}\n`;
}

const notRestorable = (id: number) =>
  new RestoreError(
    'HF_TABLE_GONE',
    `The trail holds changes of table ${id}, which is no longer protected or is gone.`,
    {
      action: 'Restore into an empty database instead, or leave that table out of the restore.',
      details: { table: id },
    },
  );

const keyless = (target: TargetTable) =>
  new RestoreError('HF_NO_KEY', `Table ${target.bound.name} has no key, so its rows cannot be told apart.`, {
    action: 'Give it a primary key and take a new full backup, or leave the table out of this restore.',
    details: { table: target.bound.name },
  });

const hole = (target: TargetTable, records: readonly string[]) =>
  new IntegrityError(
    'HF_HISTORY_BROKEN',
    `Rows of ${target.bound.name} that history says exist are not there: ${records.join(', ')}.`,
    {
      action: 'Run "holdfast doctor": changes were made past the triggers. Restore from a backup instead.',
      details: { table: target.bound.name, records },
    },
  );

const incomplete = (target: TargetTable, record: string, column: string) =>
  new RestoreError(
    'HF_SCHEMA_CHANGED',
    `Column ${column} of ${target.bound.name} did not exist when record ${record} was kept.`,
    {
      action: 'Restore to a moment after the column was added, or into an empty database.',
      details: { table: target.bound.name, record, column },
    },
  );

const dropped = (target: TargetTable, record: string, column: string) =>
  new RestoreError(
    'HF_SCHEMA_CHANGED',
    `History of ${target.bound.name} has column ${column}, which the table no longer has.`,
    {
      action: 'Restore to a moment after the column was dropped or renamed, or into an empty database.',
      details: { table: target.bound.name, record, column },
    },
  );
