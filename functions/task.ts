/** What a step of a workflow is: checked input in, a small answer out; the same on Lambda and on the local engine. */
import type { z } from 'zod';
import type { Context } from '../core/context.ts';
import type { Settings } from '../core/datamap/settings.ts';
import { ConfigError } from '../core/errors.ts';
import { explain } from '../core/explain.ts';
import type { FileSource } from '../core/files/source.ts';
import type { ObjectStore, Replicas, ServiceSnapshots, Trust } from '../core/ports.ts';

/** What a task is given. What its place does not have throws HF_FUNCTION_ENVIRONMENT when it is used. */
export interface TaskContext extends Context {
  readonly settings: Settings;
  /** holdfast.yaml, as it is written. */
  readonly configuration: string;
  readonly replicas: Replicas;
  readonly snapshots: ServiceSnapshots;
  /** Days for which snapshots of the database service stay. */
  readonly snapshotDays: number;
  /** The store that an air-gapped one pulls from, and whose signatures it believes. */
  readonly source: ObjectStore;
  readonly trust: Trust;
  /** Where users' files are; only what copies them can open it. */
  readonly files: { readonly open: (location: string) => Promise<FileSource> };
  /** Milliseconds until the step is stopped from outside. */
  readonly remaining: () => number;
}

export interface Task<Input, Output> {
  readonly input: z.ZodType<Input>;
  readonly run: (ctx: TaskContext, input: Input) => Promise<Output>;
  /** Figures of an answer that alarms and dashboards look at, by name. @default none */
  readonly measure?: (answer: Output) => Readonly<Record<string, number>>;
}

/** Any task, to whoever only runs it. */
export type AnyTask = Task<never, unknown>;

export const task = <Input, Output>(work: Task<Input, Output>): Task<Input, Output> => Object.freeze(work);

/** Errors that another attempt may not have: a definition's Retry names this, and no other error of a task. */
const TRANSIENT = 'Transient';
const PASSING = new Set([
  'HF_DATABASE_LOST',
  'HF_DATABASE_UNREACHABLE',
  'HF_FILES_SOURCE',
  'HF_KEY_UNAVAILABLE',
  'HF_LOCK_TIMEOUT',
  'HF_OBJECT_CORRUPT',
  'HF_SPOOL_DAMAGED',
  'HF_STEP_UNFINISHED',
  'HF_STORE_UNAVAILABLE',
]);

/**
 * What a state machine sees of an error: its name, which Retry and Catch go by, and as its message the whole of it in JSON. The name is
 * the code, or `Transient` for what may pass: a connection, a lock, and whatever nobody foresaw.
 */
export class TaskError extends Error {
  override readonly name: string;

  constructor(error: unknown) {
    const known = explain(error);
    const told = known ? known.toJSON() : { message: error instanceof Error ? error.message : String(error) };
    super(JSON.stringify(told), { cause: error });
    this.name = known && !PASSING.has(known.code) ? known.code : TRANSIENT;
  }
}

/** Checks the input, does the work, and turns whatever is thrown into a TaskError. */
export async function runTask<Input, Output>(
  work: Task<Input, Output>,
  ctx: TaskContext,
  input: unknown,
): Promise<Output> {
  try {
    return await work.run(ctx, checked(work.input, input));
  } catch (error) {
    throw error instanceof TaskError ? error : new TaskError(error);
  }
}

function checked<Input>(schema: z.ZodType<Input>, input: unknown): Input {
  const parsed = schema.safeParse(input);
  if (parsed.success) return parsed.data;
  const issues = parsed.error.issues.flatMap((issue) => told(issue, []));
  throw new ConfigError('HF_TASK_INPUT', `${issues[0]!.path || 'input'}: ${issues[0]!.message}.`, {
    action: 'Start the workflow again with an input that fits; docs/workflows.md lists what each one takes.',
    details: { issues },
  });
}

/** What is wrong with each form that an input may have, rather than that it has none of them. */
function told(issue: z.core.$ZodIssue, above: readonly PropertyKey[]): { path: string; message: string }[] {
  const path = [...above, ...issue.path];
  if (issue.code === 'invalid_union' && issue.errors.length > 0) {
    return issue.errors.flatMap((form) => form.flatMap((inner) => told(inner, path)));
  }
  return [{ path: path.join('.'), message: issue.message }];
}

/** The error that a state machine caught, as `RecordFailure` is given it: what a task threw, or what the machine itself did. */
export function caughtError(
  caught: { readonly Error?: string; readonly Cause?: string } | undefined,
): Record<string, unknown> {
  const { Error: name = 'unknown', Cause: cause = '' } = caught ?? {};
  const outer = parsed(cause);
  // Lambda wraps what a function threw.
  const inner =
    typeof outer?.errorMessage === 'string' ? (parsed(outer.errorMessage) ?? { message: outer.errorMessage }) : outer;
  return { code: name, message: cause, ...inner };
}

function parsed(text: string): Record<string, unknown> | undefined {
  try {
    const value = JSON.parse(text) as unknown;
    return value !== null && typeof value === 'object' ? (value as Record<string, unknown>) : undefined;
  } catch {
    return undefined; // plain words
  }
}

/** For what a place does not have. */
export function absent<T extends object>(what: string, variable: string): T {
  const refuse = () => {
    throw new ConfigError('HF_FUNCTION_ENVIRONMENT', `This place has no ${what}.`, {
      action: `Set ${variable} for it.`,
      details: { variable },
    });
  };
  return new Proxy({} as T, { get: (_, name) => (name === 'then' ? undefined : refuse()) });
}

type Lambda = (event: unknown, context: unknown) => Promise<unknown>;

/**
 * The task as a Lambda function, once it is asked for: the AWS parts are not loaded where the local engine runs the task. A bundle awaits it
 * while it is loaded itself, for then Lambda gives a function of any size a whole core.
 */
export const lambda =
  <Input, Output>(work: Task<Input, Output>): (() => Promise<Lambda>) =>
  () =>
    import('./lambda.ts').then(({ serve }) => serve(work) as Promise<Lambda>);
