/**
 * What the plan said against what is: read out of the trail, in the restore's own transaction, after everything was written.
 * Each row's content has been compared by then; this looks at which rows there are.
 */
import { RestoreError } from '../../errors.ts';
import type { Client } from '../../sql.ts';
import type { Counts } from '../statement.ts';

/** @throws RestoreError HF_RESTORE_DIFFERS */
export async function verifyAgainstPlan(
  client: Client,
  tenant: string,
  planned: Readonly<Record<string, Counts>>,
): Promise<void> {
  const { rows } = await client.query(
    `with net as (
       select c.table_id, (array_agg(c.action order by coalesce(c.before_seq, c.seq), c.seq desc))[1] = 'I' as made,
              (array_agg(c.action order by coalesce(c.before_seq, c.seq) desc, c.seq))[1] = 'D' as gone,
              bool_or(c.organization is distinct from $1) as "foreign"
         from holdfast.trail c
        where c.xid = pg_current_xact_id()::text::bigint and c.at >= transaction_timestamp() and c.metadata -> 'follows' is null
        group by c.table_id, c.record)
     select t.name, count(*) filter (where made and not gone)::int as inserted,
            count(*) filter (where not made and not gone)::int as updated,
            count(*) filter (where gone and not made)::int as deleted, bool_or(n."foreign") as "foreign"
       from net n join holdfast.tables t on t.id = n.table_id group by t.name order by t.name`,
    [tenant],
  );
  const written = Object.fromEntries(
    rows.map(({ name, inserted, updated, deleted }) => [name, { inserted, updated, deleted }]),
  );
  if (text(written) === text(planned) && !rows.some((row) => row.foreign)) return;
  throw new RestoreError(
    'HF_RESTORE_DIFFERS',
    'The trail tells of other rows than the approved plan. Nothing was kept.',
    {
      action: 'Look at the details: a trigger or a foreign key action wrote rows of its own. Then request it again.',
      details: { planned, written },
    },
  );
}

function text(tables: Readonly<Record<string, Counts>>): string {
  const busy = Object.entries(tables).map(([name, c]) => [name, c.inserted, c.updated, c.deleted] as const);
  return JSON.stringify(busy.filter(([, ...n]) => n.some((x) => x > 0)).sort(([a], [b]) => (a < b ? -1 : 1)));
}
