/** Workflows on Step Functions: executions by name, so that the same one asked for twice is one. */
import {
  DescribeExecutionCommand,
  ExecutionAlreadyExists,
  ExecutionDoesNotExist,
  RedriveExecutionCommand,
  SFNClient,
  type SFNClientConfig,
  StartExecutionCommand,
} from '@aws-sdk/client-sfn';
import { ConfigError } from '../../core/errors.ts';
import type { Execution, Workflows } from '../../core/ports.ts';

export interface StepFunctionsProps {
  /** ARN of the state machine of a workflow, by its name. */
  readonly machines: Readonly<Record<string, string>>;
  readonly config?: SFNClientConfig;
}

export class StepFunctions implements Workflows {
  readonly #client: SFNClient;
  readonly #machines: Readonly<Record<string, string>>;

  constructor({ machines, config = {} }: StepFunctionsProps) {
    this.#client = new SFNClient({ maxAttempts: 5, ...config });
    this.#machines = machines;
  }

  /** @throws ConfigError HF_WORKFLOW_UNKNOWN */
  async start(workflow: string, input: Readonly<Record<string, unknown>>, { id }: { id: string }): Promise<string> {
    const stateMachineArn = this.#machines[workflow];
    if (stateMachineArn === undefined) {
      throw new ConfigError('HF_WORKFLOW_UNKNOWN', `There is no workflow ${workflow} here.`, {
        action: `Use one of ${Object.keys(this.#machines).join(', ')}.`,
        details: { workflow },
      });
    }
    try {
      const made = await this.#client.send(
        new StartExecutionCommand({ stateMachineArn, name: id, input: JSON.stringify(input) }),
      );
      return made.executionArn!;
    } catch (error) {
      // With the same input it answers as the first time; with another, the first one counts.
      if (error instanceof ExecutionAlreadyExists) return executionArn(stateMachineArn, id);
      throw error;
    }
  }

  async status(execution: string): Promise<Execution | undefined> {
    try {
      const found = await this.#client.send(new DescribeExecutionCommand({ executionArn: execution }));
      if (found.status === 'SUCCEEDED') return { status: 'succeeded' };
      if (found.status === 'RUNNING' || found.status === 'PENDING_REDRIVE') return { status: 'running' };
      return { status: 'failed', error: { error: found.error ?? String(found.status), cause: found.cause ?? '' } };
    } catch (error) {
      if (error instanceof ExecutionDoesNotExist) return undefined; // or longer ago than 90 days
      throw error;
    }
  }

  /** Goes on with an execution that timed out or was stopped, where it stood. One that was recorded as failed stands at its end. */
  async redrive(execution: string): Promise<void> {
    await this.#client.send(new RedriveExecutionCommand({ executionArn: execution }));
  }
}

const executionArn = (machine: string, name: string): string =>
  `${machine.replace(':stateMachine:', ':execution:')}:${name}`;
