import { expect, test } from '@jest/globals';
import fc from 'fast-check';
import { formatMap } from '../../core/datamap/format.ts';
import { parseMap } from '../../core/datamap/parse.ts';
import type { ColumnRule, DataMap, Reach, TableRule } from '../../core/datamap/types.ts';
import { ConfigError } from '../../core/errors.ts';
import { joinTableName } from '../../core/sql.ts';

const ODD = [
  'on',
  'null',
  'Größe',
  'a b',
  'a, b',
  'via x',
  '"q"',
  "it's",
  'x: y',
  '#1',
  '1',
  '日本',
  '__proto__',
  'a->b',
  '[',
  '-',
  'a.b',
  'true',
];
const name = fc
  .oneof(
    fc.constantFrom('id', 'email', 'organization_id', ...ODD),
    fc.string({ minLength: 1, maxLength: 8, unit: 'binary' }),
  )
  // PostgreSQL allows every character but NUL in a name; lone surrogates are no UTF-8.
  .filter((s) => !s.includes('\0') && s.isWellFormed());
const table = fc.tuple(name, name).map(([schema, relname]) => joinTableName(schema, relname));
const reach: fc.Arbitrary<Reach> = fc.oneof(
  name.map((column): Reach => ({ kind: 'column', column })),
  fc.array(fc.tuple(name, name), { minLength: 1, maxLength: 3 }).chain((pairs) =>
    table.map(
      (parent): Reach => ({
        kind: 'via',
        columns: pairs.map((p) => p[0]),
        parent,
        parentColumns: pairs.map((p) => p[1]),
      }),
    ),
  ),
  fc
    .array(name, { minLength: 1, maxLength: 2 })
    .map((columns): Reach => ({ kind: 'via', columns, parent: '', parentColumns: [] })),
);
const rule: fc.Arbitrary<ColumnRule> = fc.record(
  {
    class: fc.constantFrom('none' as const, 'internal' as const, 'personal' as const, 'sensitive' as const),
    sealed: fc.boolean(),
    retention: fc.constantFrom('P7Y', 'P90D', 'PT12H', 'P1Y6M'),
    stamped: fc.constant(true as const),
  },
  { requiredKeys: ['class', 'sealed'] },
);
const tableRule = fc.record(
  {
    name: table,
    tenant: reach,
    person: reach,
    columns: fc.dictionary(name, rule, { maxKeys: 12, noNullPrototype: true }),
    erase: fc.constantFrom('delete' as const, 'anonymise' as const),
  },
  { requiredKeys: ['name', 'columns', 'erase'] },
) as fc.Arbitrary<TableRule>;
const maps: fc.Arbitrary<DataMap> = fc
  .record(
    {
      tenants: fc.record({ table, key: name }),
      persons: fc.record({ table, key: name }),
      tables: fc.uniqueArray(tableRule, { selector: (t) => t.name, maxLength: 4 }),
      excluded: fc.uniqueArray(table, { maxLength: 2 }),
    },
    { requiredKeys: ['tenants', 'tables', 'excluded'] },
  )
  .filter((m) => !m.excluded.some((x) => m.tables.some((t) => t.name === x))) as fc.Arbitrary<DataMap>;

test('whatever the names, a map reads back as it was written', () => {
  fc.assert(
    fc.property(maps, (map) => expect(parseMap(formatMap(map))).toEqual(map)),
    { numRuns: 500 },
  );
});

const GOOD = `version: 1
tenant: public.organizations(id)
person: public.users(id)
tables:
  public.organizations:
    tenant: id
    columns:
      internal: [id]
      none: [plan]
  public.users:
    tenant: organization_id
    person: id
    erase: anonymise
    columns:
      internal: [id, organization_id]
      personal: [email, ip]
    unsealed: [email]
    keep_for: {ip: P90D}
  countries:
    shared: true
exclude: [migrations]
store: ./somewhere
`;

test('reads what a person writes', () => {
  expect(parseMap(GOOD)).toEqual({
    tenants: { table: 'public.organizations', key: 'id' },
    persons: { table: 'public.users', key: 'id' },
    tables: [
      {
        name: 'public.organizations',
        tenant: { kind: 'column', column: 'id' },
        erase: 'delete',
        columns: { id: { class: 'internal', sealed: false }, plan: { class: 'none', sealed: false } },
      },
      {
        name: 'public.users',
        tenant: { kind: 'column', column: 'organization_id' },
        person: { kind: 'column', column: 'id' },
        erase: 'anonymise',
        columns: {
          id: { class: 'internal', sealed: false },
          organization_id: { class: 'internal', sealed: false },
          email: { class: 'personal', sealed: false },
          ip: { class: 'personal', sealed: true, retention: 'P90D' },
        },
      },
      { name: 'public.countries', erase: 'delete', columns: {} },
    ],
    excluded: ['public.migrations'],
  });
});

test('writes a small and readable file', () => {
  expect(formatMap(parseMap(GOOD)).replace(/^#.*\n/gm, '')).toMatchInlineSnapshot(`
"
version: 1
tenant: public.organizations(id)
person: public.users(id)

tables:
  public.organizations:
    tenant: id
    columns:
      none: [plan]
      internal: [id]

  public.users:
    tenant: organization_id
    person: id
    erase: anonymise
    columns:
      internal: [id, organization_id]
      personal: [email, ip]
    unsealed: [email]
    keep_for:
      ip: P90D

  public.countries:
    shared: true

exclude:
  - public.migrations
"
`);
});

test.each([
  ['no YAML', 'tables:\n', 'tables: {', 5, 'not valid YAML'],
  ['an unknown version', 'version: 1', 'version: 2', 1, 'expected version: 1, got 2'],
  ['no version', 'version: 1\n', '', 1, 'expected version: 1, got a mapping'],
  ['no tenant', 'tenant: public.organizations(id)', 'x: 1', 1, 'expected a section "tenant:", got none'],
  ['a tenant without key', 'organizations(id)', 'organizations', 2, 'like public.organizations(id)'],
  [
    'a table with neither tenant nor shared',
    '    shared: true',
    '    erase: delete',
    19,
    '"shared: true" if its rows belong to no tenant, got neither',
  ],
  [
    'a table with both',
    '    shared: true',
    '    shared: true\n    tenant: x',
    20,
    'either tenant or shared: true, got both',
  ],
  ['an empty table', '    shared: true', '', 19, 'expected the rules of public.countries, got nothing'],
  ['an unknown field', 'erase: anonymise', 'erases: anonymise', 13, 'got "erases". Did you mean erase?'],
  ['an unknown rule of erasure', 'erase: anonymise', 'erase: forget', 13, 'expected delete or anonymise, got "forget"'],
  ['an unknown class', 'none: [plan]', 'public: [plan]', 9, 'one of none, internal, personal, sensitive'],
  [
    'a column in two classes',
    'personal: [email, ip]',
    'personal: [email, ip, id]',
    16,
    'expected each column once, got "id" again',
  ],
  [
    'an option for an unlisted column',
    'unsealed: [email]',
    'unsealed: [mail]',
    17,
    'a column that is listed under columns',
  ],
  ['a wrong duration', 'ip: P90D', 'ip: 90 days', 18, 'like P7Y or P90D, got "90 days"'],
  ['a broken path', 'tenant: organization_id', 'tenant: via a, b -> t(c)', 11, '"via column -> schema.table(column)"'],
  ['a list where a text belongs', 'tenant: organization_id', 'tenant: [a]', 11, 'got a list'],
  ['a table twice', 'countries:', 'public.users:', 19, 'unique'],
  ['a table twice under two spellings', 'exclude: [migrations]', 'exclude: [countries]', 4, 'public.countries again'],
])('refuses %s with line and column', (_, good, bad, line, message) => {
  expect(GOOD).toContain(good);
  let error: unknown;
  try {
    parseMap(GOOD.replace(good, bad), 'x.yaml');
  } catch (caught) {
    error = caught;
  }
  expect(error).toBeInstanceOf(ConfigError);
  expect(error).toMatchObject({ code: 'HF_MAP_INVALID', details: { line } });
  expect((error as Error).message).toContain(message);
  expect((error as Error).message).toMatch(/^x\.yaml:\d+:\d+: /);
});
