/** Schedules that are made at run time, on EventBridge Scheduler, beside those that the stacks make. */
import {
  ConflictException,
  CreateScheduleCommand,
  type CreateScheduleCommandInput,
  DeleteScheduleCommand,
  ResourceNotFoundException,
  SchedulerClient,
  type SchedulerClientConfig,
  UpdateScheduleCommand,
} from '@aws-sdk/client-scheduler';
import { ConfigError } from '../../core/errors.ts';
import type { PlacedSchedule, Scheduler } from '../../core/ports.ts';
import { scheduleTime } from './scheduleTime.ts';

export interface EventBridgeProps {
  /** The group of the installation. */
  readonly group: string;
  /** The role by which Scheduler starts the workflows. */
  readonly role: string;
  /** What the names of the state machines begin with, as an ARN: `arn:aws:states:eu-central-1:111122223333:stateMachine:holdfast-`. */
  readonly stateMachines: string;
  /** ARN of the queue of starts that failed for good. */
  readonly missed: string;
  readonly config?: SchedulerClientConfig;
}

/** As the stacks have it: a start that fails is tried again for an hour, then it is in the queue that an alarm watches. */
const RETRIES = { MaximumEventAgeInSeconds: 3600, MaximumRetryAttempts: 10 };

export class EventBridgeScheduler implements Scheduler {
  readonly #client: SchedulerClient;
  readonly #props: EventBridgeProps;

  constructor(props: EventBridgeProps) {
    this.#props = props;
    this.#client = new SchedulerClient({ maxAttempts: 5, ...props.config });
  }

  /** @throws ConfigError HF_SCHEDULER_DENIED, HF_SCHEDULER_REFUSED, HF_SCHEDULER_UNAVAILABLE */
  async put(schedule: PlacedSchedule): Promise<void> {
    const input = this.#input(schedule);
    const update = () => this.#client.send(new UpdateScheduleCommand(input));
    await this.#call(async () => {
      try {
        await update();
      } catch (error) {
        if (!(error instanceof ResourceNotFoundException)) throw error;
        await this.#client.send(new CreateScheduleCommand(input)).catch((conflict: unknown) => {
          // Someone else has just made it.
          if (!(conflict instanceof ConflictException)) throw conflict;
          return update();
        });
      }
    });
  }

  /** The same errors. */
  async remove(id: string): Promise<void> {
    await this.#call(async () => {
      try {
        await this.#client.send(new DeleteScheduleCommand({ GroupName: this.#props.group, Name: nameOf(id) }));
      } catch (error) {
        if (!(error instanceof ResourceNotFoundException)) throw error;
      }
    });
  }

  /** All of it each time: what an update leaves out is set back to its default. */
  #input({ id, cron, timeZone, spread, enabled, workflow, input }: PlacedSchedule): CreateScheduleCommandInput {
    const { group, role, stateMachines, missed } = this.#props;
    const time = scheduleTime(cron, timeZone);
    return {
      GroupName: group,
      Name: nameOf(id),
      ScheduleExpression: time.expression,
      ScheduleExpressionTimezone: time.timeZone,
      FlexibleTimeWindow: spread > 0 ? { Mode: 'FLEXIBLE', MaximumWindowInMinutes: spread } : { Mode: 'OFF' },
      State: enabled ? 'ENABLED' : 'DISABLED',
      Target: {
        Arn: `${stateMachines}${workflow}`,
        RoleArn: role,
        Input: JSON.stringify(input),
        DeadLetterConfig: { Arn: missed },
        RetryPolicy: RETRIES,
      },
    };
  }

  async #call(work: () => Promise<void>): Promise<void> {
    try {
      await work();
    } catch (error) {
      throw schedulerError(error, this.#props.group);
    }
  }
}

/** A name of holdfast.yaml has no dot, so this is none of those that the stacks make in the same group. */
const nameOf = (id: string): string => `operator.${id}`;

function schedulerError(error: unknown, group: string): unknown {
  const { name = '', message = '' } = (error ?? {}) as Error;
  const options = { cause: error, details: { group, reason: name } };
  switch (name) {
    case 'AccessDeniedException':
      return new ConfigError(
        'HF_SCHEDULER_DENIED',
        `This role may not change schedules of group ${group}: ${message}.`,
        {
          ...options,
          action:
            'Allow it scheduler:CreateSchedule, UpdateSchedule, DeleteSchedule in that group, and iam:PassRole for the role of schedules.',
        },
      );
    case 'ValidationException':
    case 'ResourceNotFoundException':
    case 'ServiceQuotaExceededException':
      return new ConfigError(
        'HF_SCHEDULER_REFUSED',
        `EventBridge Scheduler refused a schedule of group ${group}: ${message}.`,
        {
          ...options,
          action:
            'Check the group, the role and the state machines that were named, and the quota of schedules of the account.',
        },
      );
    default: {
      const fromAws = '$metadata' in ((error ?? {}) as object);
      if (!fromAws && typeof (error as NodeJS.ErrnoException)?.code !== 'string') return error;
      return new ConfigError('HF_SCHEDULER_UNAVAILABLE', `EventBridge Scheduler did not answer: ${message || name}.`, {
        ...options,
        action: 'Nothing is lost: run holdfast schedules place when it answers.',
      });
    }
  }
}
