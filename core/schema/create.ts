import { DatabaseError, IntegrityError } from '../errors.ts';
import { isPassing, withRetries } from '../retry.ts';
import { type Client, ident, transaction } from '../sql.ts';
import { afterDataSteps, BEFORE_DATA, MAY_WAIT } from './steps.ts';
import { NOT_STRUCTURE, SCHEMA_VERSION, type SchemaObject, type SchemaRecord } from './types.ts';

export interface CreateOptions {
  /** Told of each stage and of each of its steps as it is done. */
  readonly onStep?: (stage: string, done: number, total: number) => void;
  /** Steps of a parallel stage are started in this order; larger first keeps all connections busy. @default as recorded */
  readonly size?: (table: string) => number;
}

export interface CreateReport {
  /** What was left out and why: a role that this server does not have, a right that the user lacks. */
  readonly notes: readonly string[];
}

/**
 * Makes the recorded schema in an empty database. `before-data`: types, sequences, functions, tables, defaults, checks, views, in one
 * transaction. `after-data`: keys, indexes, foreign keys, triggers, policies, comments, rights, owners; with several clients, indexes
 * and checks of foreign keys are made in parallel. Clients must be outside a transaction.
 * @throws DatabaseError HF_SCHEMA_CREATE naming the statement; IntegrityError HF_SCHEMA_VERSION
 */
export async function createSchema(
  clients: Client | readonly Client[],
  record: SchemaRecord,
  phase: 'before-data' | 'after-data',
  options: CreateOptions = {},
): Promise<CreateReport> {
  if (record.version > SCHEMA_VERSION) {
    throw new IntegrityError(
      'HF_SCHEMA_VERSION',
      `The schema record has version ${record.version}; this Holdfast reads up to ${SCHEMA_VERSION}.`,
      {
        action: 'Use the release of Holdfast that wrote the backup, or a newer one.',
      },
    );
  }
  const all = Array.isArray(clients) ? (clients as readonly Client[]) : [clients as Client];
  const first = all[0]!;
  const notes: string[] = [];
  if (phase === 'before-data') {
    const objects = record.objects.filter((object) => BEFORE_DATA.has(object.kind));
    await together(first, async () => {
      const left = await inAnyOrder(first, objects, notes);
      const stuck = left.filter(({ object }) => !MAY_WAIT.has(object.kind));
      if (stuck.length > 0) throw failure(rootCause(stuck));
      options.onStep?.('tables', objects.length, objects.length);
    });
    return { notes: [...new Set(notes)] };
  }

  const roles = await existingRoles(first);
  for (const stage of afterDataSteps(record)) {
    const total = stage.steps.length;
    let done = 0;
    if (!stage.parallel) {
      const objects = await runnable(
        first,
        stage.steps.flatMap((step) => step.objects),
        roles,
        notes,
      );
      await together(first, async () => {
        const left = await inAnyOrder(first, objects, notes);
        if (left.length > 0) throw failure(rootCause(left));
      });
      options.onStep?.(stage.name, total, total);
      continue;
    }
    const { size } = options;
    const queue = size ? stage.steps.toSorted((a, b) => size(b.table ?? '') - size(a.table ?? '')) : [...stage.steps];
    await Promise.all(
      all.map(async (client) => {
        for (let step = queue.shift(); step; step = queue.shift()) {
          for (const object of step.objects)
            await runOne(client, object).catch((cause) => {
              queue.length = 0; // nobody starts another step after a failure
              throw failure({ object, cause });
            });
          options.onStep?.(stage.name, ++done, total);
        }
      }),
    );
  }
  return { notes: [...new Set(notes)] };
}

/** Names are qualified already, and a function's body is not to be looked at before its tables exist. */
const SETTLE = `select set_config('search_path', 'pg_catalog', true), set_config('check_function_bodies', 'off', true),
            set_config('client_min_messages', 'warning', true), set_config('default_tablespace', '', true)`;

/** One transaction, tried again where autovacuum, which comes by after so many rows were loaded, holds a lock the other way round. */
function together(client: Client, work: () => Promise<void>): Promise<void> {
  return withRetries(() =>
    transaction(client, '', async () => {
      await client.query(SETTLE);
      await work();
    }),
  );
}

/** One message, which is one transaction: a schema has hundreds of objects, and each round trip counts. */
async function runOne(client: Client, object: SchemaObject): Promise<void> {
  await withRetries(() => client.query([SETTLE, ...object.sql].join(';\n')));
}

const NEXT = 'release savepoint holdfast_schema; savepoint holdfast_schema';

interface Stuck {
  readonly object: SchemaObject;
  readonly cause: unknown;
}

/**
 * Runs what works and comes back to what did not, until nothing more works. The catalog knows the dependencies too, but not
 * those inside function bodies, and a second try is cheap.
 */
async function inAnyOrder(client: Client, objects: readonly SchemaObject[], notes: string[]): Promise<Stuck[]> {
  let pending: readonly SchemaObject[] = objects;
  await client.query('savepoint holdfast_schema');
  for (;;) {
    const left: Stuck[] = [];
    for (const object of pending) {
      try {
        const statements = await Promise.all(object.sql.map((sql) => statement(client, object, sql)));
        await client.query([...statements, NEXT].join(';\n'));
      } catch (cause) {
        if (!isStatementError(cause) || isPassing(cause)) throw cause;
        await client.query('rollback to savepoint holdfast_schema');
        if (mayBeDenied(object) && (cause as { code: string }).code === '42501') {
          notes.push(`${object.kind} ${object.name} was left out: ${(cause as Error).message}`);
        } else left.push({ object, cause });
      }
    }
    if (left.length === 0 || left.length === pending.length) return left;
    pending = left.map(({ object }) => object);
  }
}

const mayBeDenied = (object: SchemaObject): boolean => NOT_STRUCTURE.has(object.kind) || object.kind === 'comment';

/** A setting is recorded as name and value; it is made for whatever this database is called. */
async function statement(client: Client, object: SchemaObject, sql: string): Promise<string> {
  if (object.kind !== 'setting') return sql;
  const { rows } = await client.query<{ database: string }>('select current_database() as database');
  const isList = /^(search_path|temp_tablespaces|.*_preload_libraries)$/.test(object.name);
  const { rows: quoted } = await client.query<{ value: string }>('select quote_literal($1::text) as value', [sql]);
  return `alter database ${ident(rows[0]!.database)} set ${object.name} = ${isList ? sql || "''" : quoted[0]!.value}`;
}

async function existingRoles(client: Client): Promise<ReadonlySet<string>> {
  const { rows } = await client.query<{ rolname: string }>('select rolname from pg_catalog.pg_roles');
  return new Set(rows.map((row) => row.rolname));
}

/** Without objects whose roles are missing here, and without those that the first phase has made already. */
async function runnable(
  client: Client,
  objects: readonly SchemaObject[],
  roles: ReadonlySet<string>,
  notes: string[],
): Promise<SchemaObject[]> {
  const result: SchemaObject[] = [];
  for (const object of objects) {
    const missing = object.roles?.filter((role) => !roles.has(role)) ?? [];
    if (missing.length > 0) {
      notes.push(`${object.kind} ${object.name} was left out: this server has no role ${missing.join(', ')}.`);
    } else if (MAY_WAIT.has(object.kind) && (await exists(client, object))) {
      // made before the rows came in
    } else result.push(object);
  }
  return result;
}

async function exists(client: Client, object: SchemaObject): Promise<boolean> {
  const lookup = object.kind === 'function' ? 'to_regprocedure' : 'to_regclass';
  const { rows } = await client.query<{ there: boolean }>(`select ${lookup}($1) is not null as there`, [object.name]);
  return rows[0]!.there;
}

/** Classes 08 and 57 are the connection and the server going away: another try would say nothing new. */
function isStatementError(error: unknown): boolean {
  const code = (error as { code?: unknown }).code;
  return typeof code === 'string' && /^[0-9A-Z]{5}$/.test(code) && !/^(08|57)/.test(code);
}

/** Most of what is stuck only misses what is stuck itself. */
function rootCause(stuck: readonly Stuck[]): Stuck {
  const missing = new Set(['42P01', '42883', '42704', '42703', '3F000']);
  return stuck.find(({ cause }) => !missing.has((cause as { code: string }).code)) ?? stuck[0]!;
}

function failure({ object, cause }: Stuck): DatabaseError {
  return new DatabaseError(
    'HF_SCHEMA_CREATE',
    `The ${object.kind} ${object.name} could not be made: ${(cause as Error).message}.`,
    {
      cause,
      action:
        'Restore into an empty database of a server that has the same extensions, as a user that may create them.',
      details: { kind: object.kind, name: object.name, statement: object.sql.join(';\n') },
    },
  );
}
