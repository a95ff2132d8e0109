/** Starting workflows and waiting for their ends. */
import { setTimeout as sleep } from 'node:timers/promises';
import {
  DescribeExecutionCommand,
  type DescribeExecutionCommandOutput,
  ListExecutionsCommand,
  SFNClient,
  StartExecutionCommand,
} from '@aws-sdk/client-sfn';
import { ACCOUNT } from './emulator.ts';
import { PRIMARY } from './world.ts';

const sfn = new SFNClient({ region: PRIMARY });

export const machine = (workflow: string): string =>
  `arn:aws:states:${PRIMARY}:${ACCOUNT}:stateMachine:holdfast-${workflow}`;

export async function start(workflow: string, input: object): Promise<string> {
  const { executionArn } = await sfn.send(
    new StartExecutionCommand({ stateMachineArn: machine(workflow), input: JSON.stringify(input) }),
  );
  return executionArn!;
}

export async function executionsOf(workflow: string): Promise<string[]> {
  const { executions = [] } = await sfn.send(new ListExecutionsCommand({ stateMachineArn: machine(workflow) }));
  return executions.map(({ executionArn }) => executionArn!);
}

/** @returns an execution that is not among those that are known, once there is one */
export async function newExecution(workflow: string, seconds: number, known: readonly string[] = []): Promise<string> {
  return until(seconds, `an execution of ${workflow}`, async () =>
    (await executionsOf(workflow)).find((execution) => !known.includes(execution)),
  );
}

export async function inputOf(executionArn: string): Promise<unknown> {
  const { input } = await sfn.send(new DescribeExecutionCommand({ executionArn }));
  return JSON.parse(input!);
}

/** @throws Error with the cause, when it ends in another way than `expected` */
export async function ended(
  executionArn: string,
  expected: 'SUCCEEDED' | 'FAILED' = 'SUCCEEDED',
  client = sfn,
  seconds = 300,
): Promise<DescribeExecutionCommandOutput & { readonly answer: Record<string, unknown> }> {
  const execution = await until(seconds, `the end of ${executionArn}`, async () => {
    const now = await client.send(new DescribeExecutionCommand({ executionArn }));
    return now.status === 'RUNNING' ? undefined : now;
  });
  if (execution.status !== expected) {
    throw new Error(
      `${executionArn}: expected ${expected}, got ${execution.status}: ${execution.error} ${execution.cause}`,
    );
  }
  return { ...execution, answer: JSON.parse(execution.output ?? '{}') as Record<string, unknown> };
}

export async function until<T>(seconds: number, what: string, look: () => Promise<T | undefined>): Promise<T> {
  const end = performance.now() + seconds * 1000;
  for (;;) {
    const found = await look();
    if (found !== undefined) return found;
    if (performance.now() > end) throw new Error(`No ${what} within ${seconds} seconds.`);
    await sleep(500);
  }
}
