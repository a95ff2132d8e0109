/** What is left to make once the rows are in, in stages. Steps of a parallel stage may run on different connections. */
import { KINDS, type SchemaKind, type SchemaObject, type SchemaRecord } from './types.ts';

export const BEFORE_DATA: ReadonlySet<SchemaKind> = new Set(KINDS.slice(0, KINDS.indexOf('key')));

/** Views can need a primary key (GROUP BY it), functions a view: what did not fit before the rows is made after them. */
export const MAY_WAIT: ReadonlySet<SchemaKind> = new Set<SchemaKind>(['function', 'view', 'materialized view']);

export interface Step {
  /** The table that it locks, so that a caller can start with the largest. */
  readonly table?: string;
  readonly objects: readonly SchemaObject[];
}

export interface Stage {
  readonly name: string;
  /** False: one connection, in any order that works. */
  readonly parallel: boolean;
  readonly steps: readonly Step[];
}

const REST: readonly SchemaKind[] = KINDS.slice(KINDS.indexOf('late check'));

/** Pure: the same record gives the same stages. Empty stages are left out. */
export function afterDataSteps(record: SchemaRecord): readonly Stage[] {
  const of = (...kinds: readonly SchemaKind[]) => record.objects.filter((object) => kinds.includes(object.kind));
  const { added, validated } = foreignKeys(record);
  const views = of('materialized view');
  const isView = new Set(views.map((view) => view.name));
  const { ofTables = [], ofViews = [] } = Object.groupBy(of('index'), (index) =>
    isView.has(index.table!) ? 'ofViews' : 'ofTables',
  );
  const stages: Stage[] = [
    { name: 'keys', parallel: true, steps: perTable(of('key')) },
    { name: 'indexes', parallel: true, steps: ofTables.map((index) => step([index])) },
    {
      name: 'partitioned indexes',
      parallel: false,
      steps: one(of('partitioned key', 'partitioned index', 'index partition')),
    },
    { name: 'views that need a key', parallel: false, steps: one(of(...MAY_WAIT)) },
    { name: 'foreign keys', parallel: false, steps: one(added) },
    { name: 'foreign key checks', parallel: true, steps: perTable(validated) },
    { name: 'materialized views', parallel: false, steps: one([...of('refresh'), ...ofViews]) },
    { name: 'triggers, policies, rights', parallel: false, steps: one(of(...REST)) },
  ];
  return stages.filter((stage) => stage.steps.length > 0);
}

/**
 * A foreign key locks both tables against writing, so two of them in parallel could wait for each other. Added as NOT VALID
 * they take no time, and checking them afterwards takes locks that never conflict. Partitioned tables before
 * PostgreSQL 18 know no NOT VALID: theirs are checked as they are added.
 */
function foreignKeys(record: SchemaRecord): { added: SchemaObject[]; validated: SchemaObject[] } {
  const partitioned = new Set(
    record.objects
      .filter((object) => object.kind === 'table' && / partition by (RANGE|LIST|HASH) /.test(object.sql[0]!))
      .map((object) => object.table),
  );
  const added: SchemaObject[] = [];
  const validated: SchemaObject[] = [];
  for (const object of record.objects.filter(({ kind }) => kind === 'foreign key')) {
    const [sql] = object.sql as [string];
    if (partitioned.has(object.table) || / NOT (VALID|ENFORCED)$/.test(sql)) {
      added.push(object);
      continue;
    }
    const name = object.name.slice(object.table!.length + 1);
    added.push({ ...object, sql: [`${sql} not valid`] });
    validated.push({ ...object, sql: [`alter table ${object.table} validate constraint ${name}`] });
  }
  return { added, validated };
}

const step = (objects: readonly SchemaObject[]): Step => ({
  ...(objects[0]?.table === undefined ? {} : { table: objects[0].table }),
  objects,
});

const one = (objects: readonly SchemaObject[]): Step[] => (objects.length > 0 ? [{ objects }] : []);

const perTable = (objects: readonly SchemaObject[]): Step[] =>
  [...Map.groupBy(objects, (object) => object.table).values()].map(step);
