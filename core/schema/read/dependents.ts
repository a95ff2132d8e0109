import type { Client } from '../../sql.ts';

interface Edge {
  readonly classid: number;
  readonly objid: number;
  readonly refclassid: number;
  readonly refobjid: number;
  /** The view that a rewrite rule makes up, where `classid` is pg_rewrite. */
  readonly view: number | null;
}

/** Everything that stands or falls with these relations, as `catalog oid` keys; the relations themselves included. */
export async function dependents(client: Client, relations: readonly number[]): Promise<Set<string>> {
  const { rows } = await client.query<Edge & { pg_class: number }>(
    `select d.classid, d.objid, d.refclassid, d.refobjid, 'pg_class'::regclass::oid as pg_class,
            case when r.rulename = '_RETURN' then r.ev_class end as view
       from pg_depend d left join pg_rewrite r on d.classid = 'pg_rewrite'::regclass and r.oid = d.objid
      where d.deptype in ('n', 'a', 'i', 'P', 'S') and d.objid >= 16384 and d.refobjid >= 16384`,
  );
  const edges = new Map<string, Edge[]>();
  for (const row of rows) {
    const key = `${row.refclassid} ${row.refobjid}`;
    edges.set(key, [...(edges.get(key) ?? []), row]);
  }
  const pgClass = rows[0]?.pg_class ?? 0;
  const gone = new Set<string>();
  const queue = relations.map((oid) => `${pgClass} ${oid}`);
  for (let key = queue.pop(); key !== undefined; key = queue.pop()) {
    if (gone.has(key)) continue;
    gone.add(key);
    for (const edge of edges.get(key) ?? []) {
      queue.push(`${edge.classid} ${edge.objid}`);
      // A view depends on its tables through its rule, and the rule on the view: follow it back.
      if (edge.view !== null) queue.push(`${pgClass} ${edge.view}`);
    }
  }
  return gone;
}
