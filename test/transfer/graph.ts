/**
 * A small world with every kind of reference, filled at random, and an oracle for copies of a tenant that knows nothing of
 * how they are made: it shows each tenant's rows with labels in place of keys.
 */
import type pg from 'pg';
import type { DataMap, Reach } from '../../core/datamap/types.ts';

export const SCHEMA = `
create schema g;
create domain g.short as varchar(40) check (length(value) > 0);
create table g.firm (id int primary key, slug text not null unique);
create table g.kind (code char(3) primary key);
insert into g.kind values ('aaa'), ('bbb'), ('ccc');
create table g.node (
  id bigint generated always as identity primary key, firm_id int not null references g.firm, label g.short not null,
  boss_id bigint references g.node on delete cascade, shout text generated always as (upper(label::text)) stored,
  unique (firm_id, id));
create table g.part (
  firm_id int not null references g.firm, no int not null, label text not null, primary key (firm_id, no));
create table g.link (
  firm_id int not null, part_no int not null, node_id bigint not null, label text not null,
  primary key (firm_id, part_no, node_id),
  foreign key (firm_id, part_no) references g.part, foreign key (firm_id, node_id) references g.node (firm_id, id));
create table g.hen (id uuid primary key, firm_id int not null references g.firm, label text not null, egg_id uuid not null);
create table g.egg (id uuid primary key, firm_id int not null references g.firm, label text not null,
  hen_id uuid not null references g.hen);
alter table g.hen add foreign key (egg_id) references g.egg deferrable;
create table g.front (id uuid primary key, firm_id int not null references g.firm, label text not null);
create table g.back (id uuid primary key references g.front deferrable, firm_id int not null references g.firm, label text not null);
alter table g.front add foreign key (id) references g.back deferrable;
create table g.sub (
  node_id bigint primary key references g.node on delete cascade, kind_code char(3) not null references g.kind,
  firm int references g.firm, label text not null);
create table g.leaf (
  node_id bigint not null references g.node on delete cascade, n smallint not null, label text not null, data jsonb,
  primary key (node_id, n));
create table g.vein (node_id bigint not null, n smallint not null, x int not null, label text not null, primary key (node_id, n, x),
  foreign key (node_id, n) references g.leaf on delete cascade);
create table g.tag (id serial primary key, firm_id int references g.firm, label text not null);
create table g.pick (
  id serial primary key, firm_id int not null references g.firm, tag_id int not null references g.tag,
  author bigint, label text not null);
insert into g.tag (firm_id, label) values (null, 'shared 1'), (null, 'shared 2');
`;

const own: Reach = { kind: 'column', column: 'firm_id' };
const via = (columns: string[], parent: string, parentColumns: string[]): Reach => ({
  kind: 'via',
  columns,
  parent: `g.${parent}`,
  parentColumns,
});
const node = via(['node_id'], 'node', ['id']);
const author: Reach = { kind: 'column', column: 'author' };
const TENANTS: Record<string, { tenant?: Reach; person?: Reach }> = {
  firm: { tenant: { kind: 'column', column: 'id' } },
  kind: {},
  node: { tenant: own, person: { kind: 'column', column: 'id' } },
  part: { tenant: own },
  link: { tenant: own },
  hen: { tenant: own },
  egg: { tenant: own },
  front: { tenant: own },
  back: { tenant: own },
  sub: { tenant: node, person: node },
  leaf: { tenant: node },
  vein: { tenant: via(['node_id', 'n'], 'leaf', ['node_id', 'n']) },
  tag: { tenant: own },
  pick: { tenant: own, person: author },
};

export const MAP: DataMap = {
  tenants: { table: 'g.firm', key: 'id' },
  persons: { table: 'g.node', key: 'id' },
  tables: Object.entries(TENANTS).map(([name, reach]) => ({
    name: `g.${name}`,
    ...reach,
    columns: {},
    erase: 'delete',
  })),
  excluded: [],
};

/** Numbers from 0 to below n. */
export type Random = (n: number) => number;

/** mulberry32 */
export function random(seed: number): Random {
  let a = seed;
  return (n) => {
    a = (a + 0x6d2b79f5) | 0;
    let t = Math.imul(a ^ (a >>> 15), 1 | a);
    t = (t + Math.imul(t ^ (t >>> 7), 61 | t)) ^ t;
    return Math.floor((((t ^ (t >>> 14)) >>> 0) / 4294967296) * n);
  };
}

/** A new tenant with random rows; labels are unique within it and a table. */
export async function addFirm(client: pg.Client, firm: number, pick: Random): Promise<void> {
  await client.query('begin; set constraints all deferred');
  await client.query('insert into g.firm values ($1, $2)', [firm, `firm ${firm}`]);
  const nodes: string[] = [];
  for (let i = 0; i < pick(9); i++) {
    const { rows } = await client.query(
      'insert into g.node (firm_id, label, boss_id) values ($1, $2, $3) returning id',
      [firm, `node ${i}`, pick(3) > 0 && nodes.length > 0 ? nodes[pick(nodes.length)] : null],
    );
    nodes.push(rows[0].id);
  }
  if (nodes.length > 1 && pick(2)) {
    await client.query('update g.node set boss_id = $1 where id = $2', [nodes.at(-1), nodes[0]]); // perhaps a circle
  }
  const parts = pick(4);
  for (let i = 0; i < parts; i++) await client.query('insert into g.part values ($1, $2, $3)', [firm, i, `part ${i}`]);
  for (let i = 0; i < parts; i++) {
    for (const id of nodes.filter(() => pick(3) === 0)) {
      await client.query('insert into g.link values ($1, $2, $3, $4)', [firm, i, id, `link ${i} ${nodes.indexOf(id)}`]);
    }
  }
  const pairs = pick(4);
  await client.query(
    `with p as (select i, gen_random_uuid() as h, gen_random_uuid() as e from generate_series(1, $2::int) i),
          a as (insert into g.hen select h, $1, 'hen ' || i, e from p)
     insert into g.egg select e, $1, 'egg ' || i, h from p`,
    [firm, pairs],
  );
  await client.query(
    `with p as (select i, gen_random_uuid() as id from generate_series(1, $2::int) i),
          a as (insert into g.front select id, $1, 'side ' || i from p)
     insert into g.back select id, $1, 'side ' || i from p`,
    [firm, pick(4)],
  );
  for (const [i, id] of nodes.entries()) {
    if (pick(2)) {
      const other = [null, firm, 1][pick(3)];
      await client.query('insert into g.sub values ($1, $2, $3, $4)', [id, ['aaa', 'bbb'][pick(2)], other, `sub ${i}`]);
    }
    const leaves = pick(3);
    for (let n = 0; n < leaves; n++) {
      await client.query('insert into g.leaf values ($1, $2, $3, $4)', [id, n, `leaf ${i} ${n}`, { of: id, n: [n] }]);
      await client.query('insert into g.vein select $1, $2, x, $3 || x from generate_series(1, $4::int) x', [
        id,
        n,
        `vein ${i} ${n} `,
        pick(3),
      ]);
    }
  }
  await client.query("insert into g.tag (firm_id, label) select $1, 'tag ' || i from generate_series(1, $2::int) i", [
    firm,
    pick(4),
  ]);
  const { rows: tags } = await client.query('select id from g.tag where firm_id = $1 or firm_id is null order by id', [
    firm,
  ]);
  for (let i = 0; i < pick(6); i++) {
    await client.query('insert into g.pick (firm_id, tag_id, author, label) values ($1, $2, $3, $4)', [
      firm,
      tags[pick(tags.length)].id,
      pick(3) && nodes.length ? nodes[pick(nodes.length)] : null,
      `pick ${i}`,
    ]);
  }
  await client.query('commit');
}

/** A tenant's rows with labels for keys, sorted. `$1` is the tenant. */
const SHAPES = [
  "select concat_ws('|', 'node', n.label, n.shout, b.label, b.firm_id = n.firm_id) from g.node n left join g.node b on b.id = n.boss_id where n.firm_id = $1",
  "select concat_ws('|', 'part', p.no, p.label) from g.part p where p.firm_id = $1",
  "select concat_ws('|', 'link', l.label, p.label, n.label, n.firm_id = l.firm_id) from g.link l left join g.part p on p.firm_id = l.firm_id and p.no = l.part_no left join g.node n on n.id = l.node_id where l.firm_id = $1",
  "select concat_ws('|', 'hen', h.label, e.label, e.firm_id = h.firm_id) from g.hen h left join g.egg e on e.id = h.egg_id where h.firm_id = $1",
  "select concat_ws('|', 'egg', e.label, h.label, e.firm_id = h.firm_id) from g.egg e left join g.hen h on h.id = e.hen_id where e.firm_id = $1",
  "select concat_ws('|', 'front', f.label, b.label, b.firm_id = f.firm_id) from g.front f left join g.back b on b.id = f.id where f.firm_id = $1",
  "select concat_ws('|', 'back', b.label, f.label, b.firm_id = f.firm_id) from g.back b left join g.front f on b.id = f.id where b.firm_id = $1",
  "select concat_ws('|', 'sub', s.label, n.label, s.kind_code, case s.firm when $1 then 'own' else s.firm::text end) from g.sub s join g.node n on n.id = s.node_id where n.firm_id = $1",
  "select concat_ws('|', 'leaf', l.label, n.label, l.n, l.data -> 'n') from g.leaf l join g.node n on n.id = l.node_id where n.firm_id = $1",
  "select concat_ws('|', 'vein', v.label, l.label, v.x, n.label) from g.vein v left join g.leaf l on l.node_id = v.node_id and l.n = v.n join g.node n on n.id = v.node_id where n.firm_id = $1",
  "select concat_ws('|', 'tag', t.label) from g.tag t where t.firm_id = $1",
  "select concat_ws('|', 'pick', p.label, t.label, t.firm_id = p.firm_id, n.label, n.firm_id = p.firm_id) from g.pick p left join g.tag t on t.id = p.tag_id left join g.node n on n.id = p.author where p.firm_id = $1",
];

export async function shape(client: pg.Client, firm: number): Promise<string[]> {
  const { rows } = await client.query({ text: SHAPES.join(' union all '), values: [firm], rowMode: 'array' });
  return rows.map((r) => r[0] as string).sort();
}

/** Every row there is but the new ones of one tenant, by whole content: sorted, to be compared. */
export async function everything(client: pg.Client): Promise<string[]> {
  const tables = Object.keys(TENANTS).map((t) => `select '${t} ' || t::text from g.${t} t`);
  const { rows } = await client.query({ text: tables.join(' union all '), rowMode: 'array' });
  return rows.map((r) => r[0] as string).sort();
}
