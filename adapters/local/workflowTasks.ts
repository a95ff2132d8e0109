/** Calls of tasks on the local engine: a time limit each, payloads no larger than AWS takes, and no call is forgotten. */
import { ConfigError } from '../../core/errors.ts';
import { readDefinition, visit } from '../../functions/definition.ts';
import { type AnyTask, runTask, TaskError } from '../../functions/task.ts';
import type { LocalWorkflowsProps } from './workflows.ts';

/** One call of a task, for whoever stands around it. */
export interface TaskCall {
  readonly workflow: string;
  readonly state: string;
  readonly input: unknown;
  /** Does what the call is for; may be called more than once, as a message may be delivered more than once. */
  readonly run: () => Promise<unknown>;
}

/** What Step Functions takes from a task, in bytes. */
const PAYLOAD = 256 * 1024;
const SNS = 'arn:aws:states:::sns:publish';

export interface TaskOverrides {
  readonly handlers: Readonly<Record<string, (input: unknown) => Promise<unknown>>>;
  /** Resolves when no call is under way: one that was given up for its time goes on until it notices. */
  readonly settled: () => Promise<void>;
}

export function taskOverrides(
  props: LocalWorkflowsProps,
  workflow: string,
  tasks: ReadonlyMap<string, AnyTask>,
  closing: () => boolean,
): TaskOverrides {
  const underWay = new Set<Promise<unknown>>();
  const around = props.around ?? (({ run }: TaskCall) => run());
  const handlers: Record<string, (input: unknown) => Promise<unknown>> = {};
  for (const { name: state, state: definition } of visit(readDefinition(workflow))) {
    if (definition.Type !== 'Task') continue;
    const { Resource: resource = '', TimeoutSeconds: seconds = 60 } = definition;
    const work = tasks.get(/^\$\{(\w+)\}$/.exec(resource)?.[1] ?? '');
    handlers[state] = (input) => {
      const until = performance.now() + seconds * 1000;
      const remaining = () => (closing() ? 0 : until - performance.now() - margin(seconds));
      const run = () => {
        if (work) return props.context().then((ctx) => runTask(work, { ...ctx, remaining } as never, input));
        return callService(props, resource, input);
      };
      const call = around({ workflow, state, input, run }).then(small);
      underWay.add(call);
      const done = () => underWay.delete(call);
      call.then(done, done);
      return call;
    };
  }
  return {
    handlers,
    settled: async () => {
      while (underWay.size > 0) await Promise.allSettled(underWay);
    },
  };
}

/** Kept back to end in order, in milliseconds: a minute of fifteen. */
const margin = (seconds: number): number => (seconds * 1000) / 15;

async function callService(props: LocalWorkflowsProps, resource: string, input: unknown): Promise<unknown> {
  const service = props.services?.[resource];
  if (service) return service(input);
  if (resource === SNS) {
    const { Subject, Message } = input as { Subject: string; Message: Record<string, unknown> };
    await props.notifier.publish(Subject, Message);
    return { published: true };
  }
  throw new TaskError(
    new ConfigError('HF_SERVICE_ABSENT', `There is no ${resource} on this machine.`, {
      action: 'Run this workflow on AWS.',
      details: { resource },
    }),
  );
}

function small(answer: unknown): unknown {
  const size = Buffer.byteLength(JSON.stringify(answer) ?? '');
  if (size <= PAYLOAD) return answer;
  const error = new Error(`A task has answered with ${size} bytes; ${PAYLOAD} are the limit.`);
  error.name = 'States.DataLimitExceeded';
  throw error;
}
