/** A workflow engine that forgets nothing: executions begin once by id, and end when the test says so. */
import type { Execution, Workflows } from '../../core/ports.ts';

export interface Begun {
  readonly workflow: string;
  readonly input: Readonly<Record<string, unknown>>;
  readonly id: string;
  status: Execution['status'];
}

export class Engine implements Workflows {
  readonly executions = new Map<string, Begun>();
  /** Calls of start that were refused or repeated are counted too. */
  starts = 0;
  /** Thrown by the next calls of start. */
  refuse: Error | undefined;

  async start(workflow: string, input: Readonly<Record<string, unknown>>, { id }: { id: string }): Promise<string> {
    this.starts += 1;
    if (!/^[A-Za-z0-9_-]{1,80}$/.test(id)) throw new RangeError(`execution id ${id}`);
    if (this.refuse) throw this.refuse;
    const execution = `${workflow}:${id}`;
    if (!this.executions.has(execution)) this.executions.set(execution, { workflow, input, id, status: 'running' });
    return execution;
  }

  async status(execution: string): Promise<Execution | undefined> {
    const begun = this.executions.get(execution);
    if (!begun) return undefined;
    return {
      status: begun.status,
      ...(begun.status === 'failed' ? { error: { error: 'HF_STORE_FULL', cause: 'The store is full.' } } : {}),
    };
  }

  end(status: 'succeeded' | 'failed' = 'succeeded'): void {
    for (const execution of this.executions.values()) if (execution.status === 'running') execution.status = status;
  }

  get running(): Begun[] {
    return [...this.executions.values()].filter(({ status }) => status === 'running');
  }
}
