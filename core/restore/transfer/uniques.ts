/** Unique keys and exclusion constraints: as facts, and as questions about rows that are about to be copied. */
import { reachSql } from '../../datamap/reach.ts';
import type { BoundMap } from '../../datamap/types.ts';
import { textSql } from '../../history/record.ts';
import { type Client, ident } from '../../sql.ts';
import type { StagedTable } from '../stage.ts';
import type { TransferConflict } from './types.ts';

export interface UniqueIndex {
  /** Of the table. */
  readonly table: number;
  readonly name: string;
  /** Every column that it reads, those of expressions and of the predicate included. */
  readonly columns: readonly string[];
  /** Its columns or expressions as SQL over the table's column names. */
  readonly parts: readonly string[];
  /** Per part, the operator under which two rows exclude each other. */
  readonly operators: readonly string[];
  readonly predicate: string | null;
}

export async function readUniques(client: Client, oids: readonly number[]): Promise<UniqueIndex[]> {
  const { rows } = await client.query<UniqueIndex>(UNIQUES, [oids]);
  return rows;
}

/**
 * Rows on the stage that an index would refuse beside the rows that are there, of whatever tenant. Asked before anything is
 * written, so that all conflicts can be named at once; the index itself has the last word.
 */
export async function findConflicts(
  client: Client,
  bound: BoundMap,
  staged: StagedTable,
  index: UniqueIndex,
  oldRecord: string,
): Promise<TransferConflict | undefined> {
  const { target, sql } = staged;
  const parts = index.parts.map((part, i) => `${part} as p${i}`).join(', ');
  const filter = index.predicate ? ` where ${index.predicate}` : '';
  const owner = reachSql(bound, target.bound, 'tenant', 'l');
  // Columns that are computed stand in no stage; an index may read them all the same.
  const computed = await client.query<{ name: string; expression: string }>(GENERATED, [target.bound.oid]);
  const made = computed.rows.map((c) => `, ${c.expression} as ${ident(c.name)}`).join('');
  const shown = target.columns.filter((c) => index.columns.includes(c.name));
  const value = shown.map((c) => textSql('s', { name: c.name, type: c.stageType })).join(`, ', ', `);
  const { rows } = await client.query(
    `with s as materialized (select x._hf_row, ${shown.map((c) => `x.${ident(c.name)}, `).join('')}${parts}
                from (select b.*${made} from ${sql} b) x${filter}),
          l as (select x.*, ${parts} from ${target.sql} x${filter})
     select count(*) over ()::int as rows, m._hf_record as record, concat(${value || "''"}) as value, ${owner.expression} as "heldBy"
       from s join l on ${index.operators.map((op, i) => `s.p${i} ${op} l.p${i}`).join(' and ')} ${owner.joins}
       join ${oldRecord} m on m._hf_row = s._hf_row
      order by s._hf_row limit 5`,
  );
  if (rows.length === 0) return undefined;
  const open = target.bound.columns.every((c) => !index.columns.includes(c.name) || !c.rule.sealed);
  return {
    table: target.bound.name,
    constraint: index.name,
    columns: index.columns,
    rows: rows[0].rows,
    samples: rows.map(({ record, value: held, heldBy }) => ({
      record,
      value: open ? held : null,
      heldBy: heldBy ?? '(none)',
    })),
  };
}

const UNIQUES = `
select i.indrelid as "table", r.relname as name, pg_get_expr(i.indpred, i.indrelid) as predicate,
       (select array_agg(a.attname::text order by a.attnum) from pg_attribute a
         where a.attrelid = i.indrelid and a.attnum > 0
           and (a.attnum = any (i.indkey[0:i.indnkeyatts - 1])
                or exists (select from pg_depend d
                            where d.classid = 'pg_class'::regclass and d.objid = i.indexrelid and d.refclassid = 'pg_class'::regclass
                              and d.refobjid = i.indrelid and d.refobjsubid = a.attnum))) as columns,
       (select array_agg(pg_get_indexdef(i.indexrelid, k, false) order by k) from generate_series(1, i.indnkeyatts) k) as parts,
       (select array_agg(format('operator(%I.%s)', n.nspname, o.oprname) order by k)
          from generate_series(1, i.indnkeyatts) k
          join pg_opclass c on c.oid = i.indclass[k - 1]
          left join pg_constraint x on x.conindid = i.indexrelid and x.contype = 'x'
          join pg_operator o on o.oid = coalesce(x.conexclop[k], (
                 select m.amopopr from pg_amop m where m.amopfamily = c.opcfamily and m.amopstrategy = 3
                    and m.amoplefttype = c.opcintype and m.amoprighttype = c.opcintype))
          join pg_namespace n on n.oid = o.oprnamespace) as operators
  from pg_index i join pg_class r on r.oid = i.indexrelid
 where i.indrelid = any ($1::oid[]) and (i.indisunique or i.indisexclusion) and i.indisvalid
 order by i.indisprimary desc, r.relname`;

const GENERATED = `
select a.attname as name, pg_get_expr(d.adbin, d.adrelid) as expression
  from pg_attribute a join pg_attrdef d on d.adrelid = a.attrelid and d.adnum = a.attnum
 where a.attrelid = $1 and a.attgenerated <> '' and not a.attisdropped`;
