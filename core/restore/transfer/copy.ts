/** Everything about a copy that is settled before the first row is written: rows, keys, references, conflicts, fingerprint. */
import { createHash } from 'node:crypto';
import type { Context } from '../../context.ts';
import type { BoundMap } from '../../datamap/types.ts';
import { RestoreError } from '../../errors.ts';
import { recordSql } from '../../history/record.ts';
import type { Client } from '../../sql.ts';
import { digestSql, rowText } from '../digest.ts';
import type { Plan } from '../plan.ts';
import { keyOf } from '../record.ts';
import { actAsTenant } from '../rowSecurity.ts';
import { Stage } from '../stage.ts';
import type { TargetTable } from '../target.ts';
import { type KeyTable, planKeys } from './keys.ts';
import { carryReferences, loseReferences, type MappedTable, newRows, stageNewRows, startMapping } from './mapping.ts';
import { countPersons } from './persons.ts';
import { referencesOf } from './references.ts';
import { stageSource } from './source.ts';
import type { LostReference, NewKey, TransferConflict, TransferRequest, TransferResult } from './types.ts';
import { findConflicts, readUniques } from './uniques.ts';

export interface Copy {
  /** New rows, ready for `apply`. */
  readonly stage: Stage;
  readonly tables: readonly MappedTable[];
  readonly counts: readonly { readonly table: string; readonly rows: number }[];
  readonly newKeys: readonly NewKey[];
  readonly mapping: TransferResult['mapping'];
  readonly persons: number;
  readonly cleared: readonly LostReference[];
  readonly untouched: readonly string[];
  readonly conflicts: readonly TransferConflict[];
  readonly fingerprint: string;
  /** Why it cannot be written; empty when it can be tried. */
  obstacles(): RestoreError[];
}

export async function makeCopy(
  ctx: Context,
  client: Client,
  about: {
    readonly bound: BoundMap;
    readonly targets: readonly TargetTable[];
    readonly plan: Plan | undefined;
    readonly request: TransferRequest;
  },
): Promise<Copy> {
  const { bound, targets, plan, request } = about;
  const { from, into } = request;
  const sources = await stageSource(ctx, client, { bound, from, targets }, plan);
  await actAsTenant(
    client,
    targets.map((t) => t.bound),
    into,
  );
  const uniques = await readUniques(
    client,
    sources.map((s) => s.target.bound.oid),
  );
  const known: KeyTable[] = sources.map(({ target }) => ({
    target,
    references: referencesOf(bound, target.bound),
    uniques: uniques.filter((u) => u.table === target.bound.oid),
  }));
  const keys = await planKeys(client, known, request.textKeyPrefix);
  const tables: MappedTable[] = [];
  for (const [i, source] of sources.entries()) {
    tables.push(await startMapping(client, source, known[i]!.references, keys, into));
  }
  await carryReferences(client, bound, tables, keys, { from, into });
  const { cleared, missing } = await loseReferences(client, bound, tables, into);

  const stage = new Stage(client, targets, keyOf);
  const staged = await stageNewRows(client, stage, tables);
  const conflicts: TransferConflict[] = [];
  for (const [i, rows] of staged.entries()) {
    for (const index of known[i]!.uniques) {
      const conflict = await findConflicts(client, bound, rows, index, tables[i]!.sql);
      if (conflict) conflicts.push(conflict);
    }
  }
  const newKeys = keys.map(({ table, column, how }) => ({ table, column, how }));
  const { counts, hash } = await digest(client, tables, [from, into, newKeys, request.textKeyPrefix ?? null, cleared]);
  return {
    stage,
    tables,
    counts,
    newKeys,
    mapping: await sampleMapping(client, tables, request.samples ?? 3),
    persons: await countPersons(client, bound, tables),
    cleared,
    untouched: tables.flatMap(opaqueColumns),
    conflicts,
    fingerprint: hash,
    obstacles: () => [...missing.map(refuseReference), ...(conflicts.length > 0 ? [refuseConflicts(conflicts)] : [])],
  };
}

/** Of the rows as they were: what new keys they get is another each time. */
async function digest(client: Client, tables: readonly MappedTable[], subject: unknown) {
  const hash = createHash('sha256').update(JSON.stringify(subject));
  const counts: { table: string; rows: number }[] = [];
  for (const { target, sql } of tables) {
    const { rows } = await client.query(digestSql(`select ${rowText(target.bound, 'm')} as r from ${sql} m`));
    counts.push({ table: target.bound.name, rows: rows[0].rows });
    hash.update(JSON.stringify([target.bound.name, rows[0].rows, rows[0].digest]));
  }
  return { counts, hash: hash.digest('hex') };
}

async function sampleMapping(client: Client, tables: readonly MappedTable[], limit: number) {
  const mapping: { table: string; from: string; into: string }[] = [];
  for (const table of tables) {
    const { bound } = table.target;
    const { rows } = await client.query(
      `select n._hf_old as from, ${recordSql(bound, 'n')} as into from ${newRows(table)} n order by n._hf_row limit $1`,
      [limit],
    );
    for (const row of rows) mapping.push({ table: bound.name, from: row.from, into: row.into });
  }
  return mapping;
}

/** Columns that may hold ids which nothing declares: documents, and uuids that are no key and no reference. */
function opaqueColumns({ target, changing }: MappedTable): string[] {
  return target.columns
    .filter((c) => /^(jsonb?|hstore|xml|uuid(\[\])?)$/.test(c.stageType) && !changing.includes(c.name))
    .filter((c) => !target.bound.key.includes(c.name))
    .map((c) => `${target.bound.name}.${c.name}`);
}

function refuseReference(lost: LostReference): RestoreError {
  return new RestoreError(
    'HF_TRANSFER_REFERENCE',
    `${lost.rows} rows of ${lost.table} (such as ${lost.records[0]}) point at rows of ${lost.parent} that are not copied, and ${lost.columns.join(', ')} may not be empty.`,
    {
      action: `Nothing was changed. Copy ${lost.parent} as well, or leave ${lost.table} out.`,
      details: { ...lost },
    },
  );
}

function refuseConflicts(conflicts: readonly TransferConflict[]): RestoreError {
  const [first] = conflicts;
  const sample = first!.samples[0]!;
  const more = conflicts.length > 1 ? ` ${conflicts.length - 1} more constraints are in the way.` : '';
  return new RestoreError(
    'HF_TRANSFER_CONFLICT',
    `${first!.rows} rows of ${first!.table} would break ${first!.constraint} (${first!.columns.join(', ')}): that of record ${sample.record} is held by tenant ${sample.heldBy}.${more}`,
    {
      action: `Nothing was changed. Leave out ${[...new Set(conflicts.map((c) => c.table))].join(', ')} (--except), or free those values first.`,
      details: { conflicts },
    },
  );
}
