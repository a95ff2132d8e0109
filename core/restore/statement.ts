/**
 * The SQL that carries out what is staged. Pure text.
 *
 * Updates, inserts and the deletes that had to wait are one statement: PostgreSQL checks foreign keys when a statement ends,
 * so rows that point at each other in a circle, or at themselves, need no order and no constraint has to be switched off.
 * Within a table each step reads the count of the one before it, which forces the order that unique indexes need: a value is
 * given up before it is taken.
 *
 * The tenant is a literal, not a parameter: in one statement over many tables it must take a different type in each.
 */
import { tenantPredicate } from '../datamap/reach.ts';
import { ident, literal } from '../sql.ts';
import type { Scope } from './diff.ts';
import type { StagedTable } from './stage.ts';
import { keyMatch } from './target.ts';

export interface Counts {
  readonly inserted: number;
  readonly updated: number;
  readonly deleted: number;
}

/** What is to be done in one table; `columns` are those that any update changes. */
export interface TableWork {
  readonly staged: StagedTable;
  readonly inserts: number;
  readonly updates: number;
  readonly replaces: number;
  readonly deletes: number;
  readonly lateDeletes: number;
  readonly columns: readonly string[];
}

/** Deletes of one group of tables that point at each other, in one statement. */
export function deleteStatement(works: readonly TableWork[], scope: Scope): string | undefined {
  const steps = works
    .filter((w) => w.deletes > 0)
    .map((w) => step(w, 'd', deleteRows(w, scope, "s._hf_do = 'D' and not s._hf_late")));
  return steps.length > 0 ? assemble(steps) : undefined;
}

/** Everything else. */
export function writeStatement(works: readonly TableWork[], scope: Scope): string | undefined {
  const steps: Step[] = [];
  for (const work of works) {
    let after: string | undefined;
    if (work.lateDeletes + work.replaces > 0) {
      steps.push(step(work, 'r', deleteRows(work, scope, "(s._hf_do = 'D' and s._hf_late or s._hf_do = 'R')")));
      after = steps.at(-1)!.name;
    }
    if (work.updates > 0) {
      steps.push(step(work, 'u', updateRows(work, scope, after)));
      after = steps.at(-1)!.name;
    }
    if (work.inserts + work.replaces > 0) steps.push(step(work, 'i', insertRows(work, scope, after)));
  }
  return steps.length > 0 ? assemble(steps) : undefined;
}

/** d: delete ahead of everything; r: removal beside the writes (late deletes, replaced rows); u: update; i: insert. */
export type StepKind = 'd' | 'r' | 'u' | 'i';

interface Step {
  readonly name: string;
  readonly sql: string;
}

const step = (work: TableWork, kind: StepKind, sql: string): Step => ({
  name: `${kind}${work.staged.target.bound.id}`,
  sql,
});

/** `select` one count per step, so that all of them run and the caller can compare. */
function assemble(steps: readonly Step[]): string {
  const ctes = steps.map((s) => `${s.name} as (${s.sql} returning 1)`);
  return `with ${ctes.join(',\n')}\nselect ${steps.map((s) => `(select count(*) from ${s.name})::int as ${s.name}`).join(', ')}`;
}

const behind = (after: string | undefined): string => (after ? ` and (select count(*) from ${after}) >= 0` : '');

function deleteRows(work: TableWork, scope: Scope, which: string): string {
  const { target, sql } = work.staged;
  return `delete from ${target.sql} t using ${sql} s where ${which} and ${keyMatch(target, 't', 's')}
    and ${tenantPredicate(scope.bound, target.bound, 't', literal(scope.tenant))}`;
}

function updateRows(work: TableWork, scope: Scope, after: string | undefined): string {
  const { target, sql } = work.staged;
  const set = work.columns.map((c) => `${ident(c)} = s.${ident(c)}`);
  return `update ${target.sql} t set ${set.join(', ')} from ${sql} s where s._hf_do = 'U' and ${keyMatch(target, 't', 's')}
    and ${tenantPredicate(scope.bound, target.bound, 't', literal(scope.tenant))}${behind(after)}`;
}

function insertRows(work: TableWork, scope: Scope, after: string | undefined): string {
  const { target, sql } = work.staged;
  const columns = target.columns.map((c) => ident(c.name));
  const override = target.columns.some((c) => c.identityAlways) ? ' overriding system value' : '';
  const reach = target.bound.tenant;
  // Said again in the statement itself, as in the others, although `foreignRows` has checked it.
  const own = reach?.kind === 'column' ? ` and s.${ident(reach.column)}::text = ${literal(scope.tenant)}` : '';
  return `insert into ${target.sql} (${columns.join(', ')})${override}
    select ${columns.map((c) => `s.${c}`).join(', ')} from ${sql} s where s._hf_do in ('I', 'R')${own}${behind(after)}`;
}
