/** References that leave the tenant: such a tenant cannot be restored or proven on its own. */
import { ident, tableSql } from '../../sql.ts';
import { reachPath, reachSql, tableNamed } from '../reach.ts';
import type { BoundMap, BoundTable } from '../types.ts';
import { many } from './probe.ts';
import type { Reference } from './references.ts';
import { joinOn, removals, rowName, type Scene } from './rows.ts';
import type { IntegrityFinding } from './types.ts';

export async function acrossTenants(scene: Scene, references: readonly Reference[]): Promise<IntegrityFinding[]> {
  const findings: IntegrityFinding[] = [];
  for (const reference of references) {
    const child = owned(scene.bound, reference.child.name);
    const parent = owned(scene.bound, reference.parent.name);
    if (!child || !parent || staysInside(child, parent, reference)) continue;
    findings.push(...(await check(scene, reference, child, parent)));
  }
  return findings;
}

/** A table whose rows have a tenant, reached by a path that holds. */
function owned(bound: BoundMap, name: string): BoundTable | undefined {
  const table = bound.tables.find((t) => t.name === name);
  if (!table?.tenant) return undefined;
  try {
    reachPath(bound, table, 'tenant');
    return table;
  } catch {
    return undefined; // doctor reports the path itself
  }
}

/** Where the tenant is reached through this very reference, or is part of it, it cannot differ. */
function staysInside(child: BoundTable, parent: BoundTable, { columns, parentColumns }: Reference): boolean {
  const [from, to] = [child.tenant!, parent.tenant!];
  if (from.kind === 'via') {
    return (
      from.parent === parent.name &&
      from.columns.length === columns.length &&
      from.columns.every((c) => columns.includes(c))
    );
  }
  const at = columns.indexOf(from.column);
  return at >= 0 && to.kind === 'column' && parentColumns[at] === to.column;
}

async function check(scene: Scene, r: Reference, child: BoundTable, parent: BoundTable): Promise<IntegrityFinding[]> {
  const { bound, probe } = scene;
  const own = reachSql(bound, child, 'tenant', 'c');
  const theirs = reachSql(bound, tableNamed(bound, parent.name), 'tenant', 'p');
  const from = `from ${tableSql(child.name)} c ${own.joins} join ${tableSql(parent.name)} p on ${joinOn(r, 'p', 'c')} ${theirs.joins}`;
  const differs = `${own.expression} <> ${theirs.expression}`;
  const name = `${rowName(bound, r.child, 'c')} || ' of ' || ${own.expression} || ' -> ' || ${rowName(bound, r.parent, 'p')} || ' of ' || ${theirs.expression}`;
  const found = await probe.rows(
    child.name,
    `whether ${r.columns.join(', ')} stays within the tenant`,
    `select ${name} ${from} where ${differs}`,
  );
  if (!found || found.count === 0) return [];
  const key = (alias: string) => r.child.key.map((k) => `${alias}.${ident(k)}`).join(', ');
  const where =
    r.child.key.length === 0
      ? `c.ctid in (select c.ctid ${from} where ${differs})`
      : `(${key('c')}) in (select ${key('c')} ${from} where ${differs})`;
  return [
    {
      code: 'HF_FOREIGN_KEY_ACROSS',
      severity: 'error',
      table: child.name,
      columns: r.columns,
      message:
        `${many(found.count)} of ${child.name} point through ${r.columns.join(', ')} at rows of ${parent.name} that belong to another ` +
        'tenant: neither tenant can be restored or proven without the other.',
      rows: found.rows,
      count: found.count,
      mends: removals(r, where),
    },
  ];
}
