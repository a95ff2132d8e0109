import type pg from 'pg';
import { bind } from '../../core/datamap/bind.ts';
import { install } from '../../core/history/install.ts';
import { ident, literal } from '../../core/sql.ts';
import { createDatabase } from '../../test/support/database.ts';
import { Random, type Suite } from './suite.ts';
import { hostileSettings, SETUP, TYPES, type TypeCase } from './types/values.ts';

const COLUMNS = 6;

/** One case is a row of six random types that is inserted, updated and deleted by a session with random settings. */
const suite: Suite = {
  name: 'types',
  description: 'values of every type survive the trail under any session settings',
  quickCases: 600,
  async run({ cases, seed, serverUrl, log }) {
    const database = await createDatabase({ serverUrl, prefix: 'types' });
    const failures: { seed: number; case: number; message: string }[] = [];
    try {
      const admin = await database.client();
      await admin.query('set search_path = public');
      const extensions = await setUp(admin);
      const types = TYPES.filter((t) => !t.extension || extensions.has(t.extension));
      const writer = await database.client();
      let done = 0;
      let values = 0;
      for (let round = 0; done < cases; round += 1) {
        const random = new Random(seed + round);
        // Every type has its turn before any has a second.
        const first = (round * COLUMNS) % types.length;
        const chosen = Array.from({ length: COLUMNS }, (_, i) => types[(first + i) % types.length]!);
        const table = await protect(admin, chosen, round);
        for (let n = 0; n < 20 && done < cases; n += 1, done += 1) {
          const problems = await oneCase({ admin, writer, table, chosen, random });
          values += 3 * COLUMNS;
          for (const message of problems) failures.push({ seed, case: done, message });
        }
        if (round % 10 === 9) log(`${done} rows, ${failures.length} failures`);
      }
      return {
        cases: done,
        failures,
        facts: { types: types.length, 'values compared': values, extensions: [...extensions].join(' ') },
      };
    } finally {
      await database.drop();
    }
  },
};
export default suite;

async function setUp(admin: pg.Client): Promise<Set<string>> {
  const there = new Set<string>();
  for (const extension of new Set(TYPES.map((t) => t.extension).filter((e) => e !== undefined))) {
    try {
      await admin.query(`create extension ${ident(extension)}`);
      there.add(extension);
    } catch {
      // Not shipped with this server; its types are left out and the facts say which were in.
    }
  }
  for (const statement of SETUP) await admin.query(statement);
  return there;
}

/** A table with these columns, protected by `install` together with those before it. */
async function protect(admin: pg.Client, chosen: readonly TypeCase[], round: number): Promise<string> {
  const name = `t${round}`;
  const columns = chosen.map((t, i) => `c${i} ${t.type}`).join(', ');
  await admin.query('drop table if exists t cascade');
  await admin.query(`create table ${name} (id int primary key, tenant int not null, ${columns})`);
  const rule = {
    name: `public.${name}`,
    tenant: { kind: 'column', column: 'tenant' } as const,
    columns: {},
    erase: 'delete' as const,
  };
  const map = { tenants: { table: rule.name, key: 'id' }, tables: [rule], excluded: [] };
  await install(admin, await bind(admin, map));
  return name;
}

interface Case {
  readonly admin: pg.Client;
  readonly writer: pg.Client;
  readonly table: string;
  readonly chosen: readonly TypeCase[];
  readonly random: Random;
}

async function oneCase({ admin, writer, table, chosen, random }: Case): Promise<string[]> {
  const row = () => chosen.map((t) => (random.chance(0.15) ? 'null' : `${random.pick(t.values)}::${t.type}`));
  const problems: string[] = [];
  const was = row();
  const now = was.map((old, i) =>
    random.chance(0.4) ? old : random.chance(0.1) ? 'null' : `${random.pick(chosen[i]!.values)}::${chosen[i]!.type}`,
  );

  const hostile = hostileSettings(random);
  for (const [name, value] of Object.entries(hostile))
    await writer.query('select set_config($1, $2, false)', [name, value]);
  const steps: { sql: string; action: string; before: Texts; after: Texts }[] = [];
  const step = async (action: string, sql: string) => {
    const before = steps.at(-1)?.after ?? {};
    await writer.query(sql);
    steps.push({ sql, action, before, after: await readTexts(admin, table, chosen) });
  };
  await step('I', `insert into public.${table} values (1, 7, ${was.join(', ')})`);
  await step('U', `update public.${table} set ${now.map((v, i) => `c${i} = ${v}`).join(', ')} where id = 1`);
  await step('D', `delete from public.${table} where id = 1`);

  const { rows: trail } = await admin.query(
    `select c.action::text, c.changes from holdfast.trail c join holdfast.tables t on t.id = c.table_id
      where t.name = $1 order by c.seq`,
    [`public.${table}`],
  );
  const changed = chosen.map((_, i) => `c${i}`).filter((c) => steps[1]!.before[c] !== steps[1]!.after[c]);
  const wanted = changed.length > 0 ? ['I', 'U', 'D'] : ['I', 'D'];
  const label = () => `${table} (${chosen.map((t) => t.type).join(', ')}) under ${JSON.stringify(hostile)}`;
  if (trail.map((c) => c.action).join() !== wanted.join()) {
    problems.push(`${label()}: trail has ${trail.map((c) => c.action)}, expected ${wanted}; ${steps[1]!.sql}`);
  } else {
    const inserted = trail[0].changes;
    const deleted = trail.at(-1).changes;
    for (let i = 0; i < COLUMNS; i += 1) {
      const c = `c${i}`;
      const compare = (what: string, got: unknown, want: unknown) => {
        if (JSON.stringify(got) !== JSON.stringify(want))
          problems.push(
            `${label()}: ${what} ${chosen[i]!.type}: trail ${JSON.stringify(got)}, value ${JSON.stringify(want)}`,
          );
      };
      compare('insert', inserted[c], steps[0]!.after[c]);
      compare('delete', deleted[c], steps[1]!.after[c]);
      const pair = wanted.length === 3 ? trail[1].changes[c] : undefined;
      compare('update', pair, changed.includes(c) ? [steps[1]!.before[c], steps[1]!.after[c]] : undefined);
      problems.push(...(await roundTrip(admin, chosen[i]!, was[i]!, inserted[c], label)));
    }
  }
  await admin.query('truncate holdfast.trail');
  return problems;
}

type Texts = Record<string, string | null>;

/** What COPY, which calls each type's output function, says is in the row. The one who reads has pinned settings. */
async function readTexts(admin: pg.Client, table: string, chosen: readonly TypeCase[]): Promise<Texts> {
  const columns = chosen.map((_, i) => `case when num_nulls(c${i}) = 0 then format('%s', c${i}) end as c${i}`);
  await admin.query('set search_path = pg_catalog');
  const { rows } = await admin.query(`select ${columns.join(', ')} from public.${table}`);
  await admin.query('set search_path = public');
  return rows[0] ?? {};
}

/** The text, read by the type again, gives the same bytes on the page. */
async function roundTrip(
  admin: pg.Client,
  t: TypeCase,
  value: string,
  text: string | null,
  label: () => string,
): Promise<string[]> {
  if (text === null) return [];
  const { rows } = await admin.query(
    `select not (row(x.a)::record operator(pg_catalog.*<>) row(x.b)::record) as same
       from (select (${value}) as a, ${literal(text)}::${t.type} as b) x`,
  );
  return rows[0].same ? [] : [`${label()}: ${t.type}: ${text} does not read back to the same value`];
}
