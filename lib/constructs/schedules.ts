import { Duration, Stack, TimeZone } from 'aws-cdk-lib';
import { PolicyStatement, PrincipalWithConditions, Role, ServicePrincipal } from 'aws-cdk-lib/aws-iam';
import type { IKey } from 'aws-cdk-lib/aws-kms';
import {
  Schedule,
  ScheduleExpression,
  ScheduleGroup,
  ScheduleTargetInput,
  TimeWindow,
} from 'aws-cdk-lib/aws-scheduler';
import { StepFunctionsStartExecution } from 'aws-cdk-lib/aws-scheduler-targets';
import { Queue, QueueEncryption } from 'aws-cdk-lib/aws-sqs';
import { Construct } from 'constructs';
import { scheduleTime } from '../../adapters/aws/scheduleTime.ts';
import { accept } from '../accept.ts';
import type { Workflow } from './workflow.ts';

export interface ScheduledRun {
  /** What it is called in the group; letters, digits, hyphens, underscores and dots. */
  readonly name: string;
  /** Five fields as in crontab(5), e.g. `0 2 * * 0`. */
  readonly cron: string;
  /** IANA name. @default 'UTC' */
  readonly timeZone?: string;
  /** What is started. */
  readonly workflow: Workflow;
  /** @default {} */
  readonly input?: Readonly<Record<string, unknown>>;
  /** Minutes over which the start may be spread. @default 0 */
  readonly flexible?: number;
}

export interface SchedulesProps {
  /** Once in an account and region; schedules made at run time go there too. */
  readonly groupName: string;
  /** Encrypts the queue of runs that could not be started. */
  readonly key: IKey;
  /** Those that this stack makes. Others are made at run time. */
  readonly runs: readonly ScheduledRun[];
  /** Every workflow that a schedule made at run time may start. */
  readonly workflows: readonly Workflow[];
}

/** Starts workflows by the clock. What could not be started, after retries, is kept in a queue that an alarm watches. */
export class Schedules extends Construct {
  readonly group: ScheduleGroup;
  readonly missed: Queue;
  /** Of every schedule in the group, also of those made at run time: it may start the workflows, and leave behind what it could not. */
  readonly role: Role;

  /** @throws ConfigError HF_CRON_INVALID, HF_TIME_ZONE_UNKNOWN */
  constructor(scope: Construct, id: string, { groupName, key, runs, workflows }: SchedulesProps) {
    super(scope, id);
    this.group = new ScheduleGroup(this, 'Group', { scheduleGroupName: groupName });
    this.missed = new Queue(this, 'Missed', {
      encryption: QueueEncryption.KMS,
      encryptionMasterKey: key,
      enforceSSL: true,
      retentionPeriod: Duration.days(14),
    });
    this.role = new Role(this, 'Role', { assumedBy: schedulerOf(this, groupName) });
    for (const workflow of workflows) workflow.grantStart(this.role);
    const allow = (actions: string[], resource: string) =>
      this.role.addToPolicy(new PolicyStatement({ actions, resources: [resource] }));
    allow(['sqs:SendMessage'], this.missed.queueArn);
    allow(['kms:GenerateDataKey', 'kms:Decrypt'], key.keyArn);
    accept(
      this.missed,
      ['AWS::SQS::Queue'],
      [
        {
          id: 'AwsSolutions-SQS3',
          reason: 'It is the dead-letter queue, also of schedules that are made at run time.',
        },
      ],
    );
    for (const run of runs) {
      const time = scheduleTime(run.cron, run.timeZone ?? 'UTC');
      new Schedule(this, run.name, {
        scheduleName: run.name,
        scheduleGroup: this.group,
        schedule: ScheduleExpression.expression(time.expression, TimeZone.of(time.timeZone)),
        timeWindow: run.flexible ? TimeWindow.flexible(Duration.minutes(run.flexible)) : TimeWindow.off(),
        target: new StepFunctionsStartExecution(run.workflow.stateMachine, {
          // One that the library made could not use the key of the queue: what it leaves behind would be lost, and no alarm would tell.
          role: this.role,
          input: ScheduleTargetInput.fromObject(run.input ?? {}),
          deadLetterQueue: this.missed,
          maxEventAge: Duration.hours(1),
          retryAttempts: 10,
        }),
      });
    }
  }
}

/** Scheduler, for this group alone: nobody else's schedule can borrow the role. */
function schedulerOf(scope: Construct, groupName: string): PrincipalWithConditions {
  const stack = Stack.of(scope);
  const group = stack.formatArn({ service: 'scheduler', resource: 'schedule-group', resourceName: groupName });
  return new PrincipalWithConditions(new ServicePrincipal('scheduler.amazonaws.com'), {
    StringEquals: { 'aws:SourceAccount': stack.account, 'aws:SourceArn': group },
  });
}
