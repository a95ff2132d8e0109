/**
 * The integrity advisor: rows that point nowhere or into another tenant, and what keeps such rows out. Mending SQL is tried in
 * a transaction that is rolled back. Each look at the data is limited in time; what was left out is said.
 */
import { type Client, ident, tableSql } from '../../sql.ts';
import { bindCatalog, installed } from '../bind.ts';
import type { Catalog } from '../catalog.ts';
import { introspect } from '../introspect.ts';
import type { DataMap } from '../types.ts';
import { acrossTenants } from './across.ts';
import { looseKeys } from './keys.ts';
import { unownedTables } from './owners.ts';
import { many, Probe } from './probe.ts';
import { declaredReferences, inferredReferences, type Reference } from './references.ts';
import { joinOn, removals, rowName, type Scene } from './rows.ts';
import { type TrialOptions, tried } from './trial.ts';
import type { IntegrityFinding, IntegrityReport, Mend } from './types.ts';

export interface IntegrityOptions {
  /** Milliseconds for one look at the data. @default 10,000 */
  readonly patience?: number;
  /** false: mending SQL is printed and not tried. */
  readonly trial?: TrialOptions | false;
}

/** Errors first. @throws nothing of its own: a check that cannot be made is listed as unchecked */
export async function checkIntegrity(
  client: Client,
  map: DataMap,
  options: IntegrityOptions = {},
): Promise<IntegrityReport> {
  const catalog = await introspect(client);
  const { bound } = bindCatalog(catalog, map, await installed(client));
  const probe = new Probe(client, options.patience ?? 10_000);
  const scene: Scene = { catalog, bound, probe };
  const excluded = new Set(map.excluded);
  const ours = new Set(catalog.tables.map((t) => t.name).filter((name) => !excluded.has(name)));

  const declared = declaredReferences(catalog, await unprovenKeys(client)).filter((r) => ours.has(r.child.name));
  const inferred = await inferredReferences(catalog, ours, probe);
  const findings: IntegrityFinding[] = [];
  for (const reference of declared) findings.push(...(await orphansOf(scene, reference)));
  for (const reference of inferred) findings.push(...(await missingKey(scene, reference)));
  findings.push(...(await acrossTenants(scene, [...declared, ...inferred])));
  for (const table of catalog.tables) if (ours.has(table.name)) findings.push(...(await looseKeys(scene, table)));
  findings.push(...unownedTables(scene, map));

  const done: IntegrityFinding[] = [];
  for (const finding of findings) done.push(await withTrials(client, catalog, finding, options.trial));
  const rank = { error: 0, warning: 1, advice: 2 };
  done.sort((a, b) => rank[a.severity] - rank[b.severity]);
  return { findings: done, unchecked: probe.unchecked, checked: declared.length + inferred.length };
}

async function withTrials(
  client: Client,
  catalog: Catalog,
  finding: IntegrityFinding,
  trial: IntegrityOptions['trial'],
): Promise<IntegrityFinding> {
  if (trial === false) return finding;
  const rows = catalog.tables.find((t) => t.name === finding.table)?.estimatedRows ?? 0;
  const mends: Mend[] = [];
  for (const mend of finding.mends) mends.push(mend.sql.length > 0 ? await tried(client, mend, rows, trial) : mend);
  return { ...finding, mends };
}

/** Foreign keys that were never checked against the rows that were there. */
async function unprovenKeys(client: Client): Promise<ReadonlySet<string>> {
  const { rows } = await client.query<{ id: string }>(
    "select conrelid::int8::text || ' ' || conname as id from pg_constraint where contype = 'f' and not convalidated",
  );
  return new Set(rows.map((r) => r.id));
}

/** Rows of the child that point nowhere, as `from … where …`. */
function orphanWhere(r: Reference): string {
  const set = r.columns.map((name) => `c.${ident(name)} is not null`).join(' and ');
  return `${set} and not exists (select from ${tableSql(r.parent.name)} p where ${joinOn(r, 'p', 'c')})`;
}

const target = (r: Reference): string => `${r.parent.name}(${r.parentColumns.join(', ')})`;

async function orphansOf({ bound, probe }: Scene, r: Reference): Promise<IntegrityFinding[]> {
  if (!r.child.readable || !r.parent.readable) return [];
  const where = orphanWhere(r);
  const what = `whether rows of ${r.declared} point at rows that exist`;
  const found = await probe.rows(
    r.child.name,
    what,
    `select ${rowName(bound, r.child, 'c')} from ${tableSql(r.child.name)} c where ${where}`,
  );
  const validate = `alter table ${tableSql(r.child.name)} validate constraint ${ident(r.declared!)}`;
  if (found && found.count > 0) {
    const then = r.enforced ? [] : [validate];
    return [
      {
        code: 'HF_ROW_ORPHAN',
        severity: 'error',
        table: r.child.name,
        columns: r.columns,
        message: `${many(found.count)} of ${r.child.name} point at no row of ${target(r)}, although foreign key ${r.declared} says so.`,
        rows: found.rows,
        count: found.count,
        mends: removals(r, where).map((m) => ({ ...m, sql: [...m.sql, ...then] })),
      },
    ];
  }
  if (r.enforced) return [];
  return [
    {
      code: 'HF_FOREIGN_KEY_UNPROVEN',
      severity: 'warning',
      table: r.child.name,
      columns: r.columns,
      message: `Foreign key ${r.declared} of ${r.child.name} was never checked against the rows that were there before it.`,
      rows: [],
      count: null,
      mends: [{ what: 'check it', sql: [validate] }],
    },
  ];
}

async function missingKey(
  { bound, probe }: Scene,
  r: Reference & { readonly share: number },
): Promise<IntegrityFinding[]> {
  const where = orphanWhere(r);
  const found = await probe.rows(
    r.child.name,
    `whether every ${r.columns[0]} is a row of ${r.parent.name}`,
    `select ${rowName(bound, r.child, 'c')} from ${tableSql(r.child.name)} c where ${where}`,
  );
  const child = tableSql(r.child.name);
  const add = `alter table ${child} add foreign key (${r.columns.map(ident).join(', ')}) references ${tableSql(r.parent.name)} (${r.parentColumns.map(ident).join(', ')})`;
  const orphans = found?.count ?? 0;
  const all = r.share === 1 ? 'all values seen do' : `${Math.round(r.share * 100)} % of the values seen do`;
  return [
    {
      code: 'HF_FOREIGN_KEY_MISSING',
      severity: orphans > 0 ? 'error' : 'warning',
      table: r.child.name,
      columns: r.columns,
      message:
        `${r.child.name}.${r.columns[0]} looks as if it pointed at ${target(r)} (${all}), but no foreign key says so` +
        `${orphans > 0 ? `; ${many(orphans)} point nowhere` : ''}.`,
      rows: found?.rows ?? [],
      count: found ? orphans : null,
      mends:
        orphans === 0
          ? [{ what: 'add the foreign key', sql: [add] }]
          : removals(r, where).map((m) => ({ what: `${m.what}, and add the foreign key`, sql: [...m.sql, add] })),
    },
  ];
}
