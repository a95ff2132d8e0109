/**
 * The workflows on one machine: the same definitions and the same tasks as on Step Functions, run in this process. Executions are kept in
 * files, so that one that a restart has cut short goes on; every step can be repeated, so it goes on from its beginning.
 */
import { readdir, readFile, rm } from 'node:fs/promises';
import { join } from 'node:path';
import { StateMachine, type StateMachineDefinition } from 'aws-local-stepfunctions';
import { ConfigError } from '../../core/errors.ts';
import type { Execution, Notifier, Workflows } from '../../core/ports.ts';
import { workflowEntry } from '../../functions/catalogue.ts';
import { readDefinition, visit } from '../../functions/definition.ts';
import type { AnyTask, TaskContext } from '../../functions/task.ts';
import { isTemporary, makeFolder, replaceFile } from './durableFile.ts';
import { type TaskCall, taskOverrides } from './workflowTasks.ts';

export interface LocalWorkflowsProps {
  /** Where executions are kept; made when it is missing. */
  readonly directory: string;
  /** Asked before each task. */
  readonly context: () => Promise<Omit<TaskContext, 'remaining'>>;
  readonly notifier: Notifier;
  /** Items of a Map that are worked on at once, whatever its definition says. @default 2 */
  readonly atOnce?: number;
  /** Services of AWS that a definition calls itself, by the ARN of the integration. @default none but SNS, which is the notifier */
  readonly services?: Readonly<Record<string, (input: unknown) => Promise<unknown>>>;
  /** Values for a definition's `${…}`. @default their own names */
  readonly values?: Readonly<Record<string, string>>;
  /** Days for which an execution that has ended is kept. @default 30 */
  readonly keepDays?: number;
  /** Milliseconds for every Wait state and before every new attempt. @default what the definition says */
  readonly pause?: number;
  /** Stands around each call of a task. @default calls it */
  readonly around?: (call: TaskCall) => Promise<unknown>;
  /** Hears what happens in every execution. */
  readonly observe?: (workflow: string, event: WorkflowEvent) => void;
}

/** A state was entered, left, failed, tried again or caught; `catch` is the catcher. */
export interface WorkflowEvent {
  readonly type: string;
  readonly state?: { readonly name: string; readonly output?: unknown };
  readonly catch?: { readonly catcher: { readonly ErrorEquals: readonly string[]; readonly Next: string } };
}

/** What is kept of an execution. */
interface Kept extends Execution {
  readonly workflow: string;
  readonly id: string;
  readonly input: Readonly<Record<string, unknown>>;
  readonly startedAt: string;
  readonly endedAt?: string;
  readonly output?: unknown;
  readonly redrives: number;
}

/** Executions that end between two looks for old ones. */
const SWEEP_EVERY = 500;

export class LocalWorkflows implements Workflows {
  readonly #props: LocalWorkflowsProps;
  readonly #running = new Map<string, { readonly ended: Promise<Kept>; readonly abort: () => void }>();
  readonly #machines = new Map<string, Promise<{ machine: StateMachine; tasks: ReadonlyMap<string, AnyTask> }>>();
  #closing = false;
  #ended = 0;

  private constructor(props: LocalWorkflowsProps) {
    this.#props = props;
  }

  /** Opens the folder and goes on with what a restart has cut short. */
  static async open(props: LocalWorkflowsProps): Promise<LocalWorkflows> {
    await makeFolder(props.directory);
    const workflows = new LocalWorkflows(props);
    for (const kept of await workflows.#all()) if (kept.status === 'running') workflows.#run(kept);
    await workflows.#forgetOld();
    return workflows;
  }

  async start(workflow: string, input: Readonly<Record<string, unknown>>, { id }: { id: string }): Promise<string> {
    workflowEntry(workflow);
    if (!/^[\w-]{1,80}$/.test(id)) {
      throw new ConfigError('HF_ARGUMENT_INVALID', `${JSON.stringify(id)} cannot name an execution.`, {
        action: 'Use 1 to 80 letters, digits, "-" and "_".',
        details: { got: id },
      });
    }
    const execution = `${workflow}.${id}`;
    if (this.#running.has(execution) || (await this.#read(execution))) return execution;
    const kept: Kept = { workflow, id, input, status: 'running', startedAt: new Date().toISOString(), redrives: 0 };
    await this.#keep(execution, kept);
    // Two that ask at the same time begin one.
    if (!this.#running.has(execution)) this.#run(kept);
    return execution;
  }

  async status(execution: string): Promise<Execution | undefined> {
    const kept = await this.#read(execution);
    if (!kept) return undefined;
    return { status: kept.status, ...(kept.error ? { error: kept.error } : {}) };
  }

  /**
   * Runs an execution again that has failed, under the same name: what it had done is found and not done again.
   * @throws ConfigError HF_EXECUTION_UNKNOWN
   */
  async redrive(execution: string): Promise<void> {
    const kept = await this.#read(execution);
    if (!kept) {
      throw new ConfigError('HF_EXECUTION_UNKNOWN', `There is no execution ${execution} here.`, {
        action: 'Check the name; executions are kept as files in the folder of workflows.',
        details: { execution },
      });
    }
    if (kept.status !== 'failed') return;
    const { error: _, endedAt: __, ...rest } = kept;
    const again: Kept = { ...rest, status: 'running', redrives: kept.redrives + 1 };
    await this.#keep(execution, again);
    this.#run(again);
  }

  /** Resolves when the execution has ended, with what it said at its end. */
  async ended(execution: string): Promise<Execution & { readonly output?: unknown }> {
    return (await this.#running.get(execution)?.ended) ?? (await this.#read(execution))!;
  }

  /** Ends what runs, at the next step of each, and leaves it to be gone on with. */
  async close(): Promise<void> {
    this.#closing = true;
    const running = [...this.#running.values()];
    for (const { abort } of running) abort();
    await Promise.allSettled(running.map(({ ended }) => ended));
  }

  #run(kept: Kept): void {
    const execution = `${kept.workflow}.${kept.id}`;
    let abort = () => {};
    const ended = this.#execute(kept, (stop) => {
      abort = stop;
    }).finally(() => this.#running.delete(execution));
    ended.catch(() => {}); // whoever waits for it is told
    this.#running.set(execution, { ended, abort: () => abort() });
  }

  async #execute(kept: Kept, abortable: (abort: () => void) => void): Promise<Kept> {
    const { workflow, id, input } = kept;
    const { machine, tasks } = await this.#machine(workflow);
    const { observe, pause } = this.#props;
    const calls = taskOverrides(this.#props, workflow, tasks, () => this.#closing);
    const names = [...visit(readDefinition(workflow))].map(({ name }) => name);
    const paused = pause === undefined ? {} : Object.fromEntries(names.map((name) => [name, pause]));
    const run = machine.run(input as never, {
      overrides: {
        taskResourceLocalHandlers: calls.handlers as never,
        waitTimeOverrides: paused,
        retryIntervalOverrides: paused,
      },
      context: { Execution: { Id: `local:${workflow}:${id}`, Name: id } },
    });
    abortable(run.abort);
    const heard = (async () => {
      for await (const event of run.eventLogs) observe?.(workflow, event as WorkflowEvent);
    })();
    try {
      const output = await run.result;
      return await this.#end(kept, { status: 'succeeded', output });
    } catch (failure) {
      // Cut short, it stays running: the next start goes on with it.
      if (this.#closing) return kept;
      const { name, message } = ((failure as Error).cause ?? failure) as Error;
      return await this.#end(kept, { status: 'failed', error: { error: name, cause: message } });
    } finally {
      await heard;
      await calls.settled();
    }
  }

  async #end(kept: Kept, how: Pick<Kept, 'status' | 'output' | 'error'>): Promise<Kept> {
    const ended = { ...kept, ...how, endedAt: new Date().toISOString() };
    await this.#keep(`${kept.workflow}.${kept.id}`, ended);
    this.#ended += 1;
    if (this.#ended % SWEEP_EVERY === 0) await this.#forgetOld();
    return ended;
  }

  /** A service that stays up for years would otherwise keep every run of every minute. */
  async #forgetOld(): Promise<void> {
    const before = Date.now() - (this.#props.keepDays ?? 30) * 86_400_000;
    for (const { workflow, id, endedAt } of await this.#all()) {
      if (endedAt && Date.parse(endedAt) < before) await rm(this.#file(`${workflow}.${id}`), { force: true });
    }
  }

  async #all(): Promise<Kept[]> {
    const names = (await readdir(this.#props.directory)).filter((name) => name.endsWith('.json') && !isTemporary(name));
    const all = await Promise.all(names.map((name) => this.#read(name.slice(0, -5))));
    return all.filter((kept) => kept !== undefined);
  }

  #machine(workflow: string) {
    let made = this.#machines.get(workflow);
    if (!made) {
      made = loadMachine(workflow, this.#props);
      this.#machines.set(workflow, made);
    }
    return made;
  }

  #keep(execution: string, kept: Kept): Promise<void> {
    return replaceFile(this.#file(execution), Buffer.from(`${JSON.stringify(kept)}\n`));
  }

  async #read(execution: string): Promise<Kept | undefined> {
    try {
      return JSON.parse(await readFile(this.#file(execution), 'utf8')) as Kept;
    } catch (error) {
      if ((error as NodeJS.ErrnoException).code === 'ENOENT') return undefined;
      throw error;
    }
  }

  #file(execution: string): string {
    return join(this.#props.directory, `${execution}.json`);
  }
}

/** The definition with its names filled in, and the tasks that it calls. */
async function loadMachine(workflow: string, { values, atOnce = 2 }: LocalWorkflowsProps) {
  const entry = workflowEntry(workflow);
  const tasks = new Map<string, AnyTask>();
  for (const [name, { entry: path }] of Object.entries(entry.handlers)) {
    tasks.set(name, ((await import(new URL(`../../${path}`, import.meta.url).href)) as { work: AnyTask }).work);
  }
  const text = JSON.stringify(readDefinition(workflow)).replaceAll(/\$\{(\w+)\}/g, (_, name: string) =>
    tasks.has(name) ? name : (values?.[name] ?? name),
  );
  const definition = JSON.parse(text, (_, value) => (value?.Type === 'Map' ? atMost(value, atOnce) : value));
  // `npm run check` has held it against the language; doing so again takes longer than many executions.
  const options = { validationOptions: { noValidate: true } };
  return { machine: new StateMachine(definition as StateMachineDefinition, options), tasks };
}

/** All run in this one process, on the cores and in the memory that it has. */
function atMost(map: Record<string, unknown>, limit: number): Record<string, unknown> {
  const { MaxConcurrencyPath: _, ...rest } = map;
  return { ...rest, MaxConcurrency: Math.min(limit, Number(map.MaxConcurrency ?? limit)) };
}
