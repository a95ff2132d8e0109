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
import { accept } from '../accept.ts';
import { SynthError } from '../synthError.ts';
import type { Workflow } from './workflow.ts';

export interface ScheduledRun {
  /** What it is called in the group; letters, digits and hyphens. */
  readonly name: string;
  /** Five fields as in crontab(5), e.g. `0 2 * * 0`. */
  readonly cron: string;
  /** IANA name. @default 'UTC' */
  readonly timeZone?: string;
  readonly workflow: Workflow;
  /** @default {} */
  readonly input?: Readonly<Record<string, unknown>>;
  /** Minutes over which the start may be spread. @default 0 */
  readonly flexible?: number;
}

export interface SchedulesProps {
  readonly groupName: string;
  /** Encrypts the queue of runs that could not be started. */
  readonly key: IKey;
  readonly runs: readonly ScheduledRun[];
  /** Every workflow that a schedule made at run time may start. */
  readonly workflows: readonly Workflow[];
}

/** Starts workflows by the clock. What could not be started, after retries, is kept in a queue that an alarm watches. */
export class Schedules extends Construct {
  readonly group: ScheduleGroup;
  readonly missed: Queue;
  /** Of schedules that are made at run time: it may start the workflows, and leave behind what it could not. */
  readonly role: Role;

  /** @throws SynthError for a cron expression that EventBridge Scheduler has no words for */
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
      new Schedule(this, run.name, {
        scheduleName: run.name,
        scheduleGroup: this.group,
        schedule: ScheduleExpression.expression(awsCron(run.cron), TimeZone.of(run.timeZone ?? 'UTC')),
        timeWindow: run.flexible ? TimeWindow.flexible(Duration.minutes(run.flexible)) : TimeWindow.off(),
        target: new StepFunctionsStartExecution(run.workflow.stateMachine, {
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

/**
 * Five fields of crontab(5) as the six of EventBridge Scheduler, where Sunday is 1 and one of day-of-month and day-of-week is `?`.
 * @throws SynthError when both are given: crontab means either, Scheduler can say only one
 */
export function awsCron(cron: string): string {
  const fields = cron.trim().split(/\s+/);
  const [minute, hour, day, month, weekday] = fields;
  if (fields.length !== 5) throw new SynthError('cron', 'five fields, such as "0 2 * * 0"', cron);
  if (day !== '*' && weekday !== '*') {
    throw new SynthError('cron', 'a day of the month or a day of the week, not both: make two schedules', cron);
  }
  if (!fields.every((field) => /^[\d*,/A-Za-z-]+$/.test(field)))
    throw new SynthError('cron', 'crontab(5) fields', cron);
  const days = weekday === '*' ? (day === '*' ? ['*', '?'] : [day, '?']) : ['?', weekdays(weekday!)];
  return `cron(${minute} ${hour} ${days[0]} ${month} ${days[1]} *)`;
}

const NAMES = ['SUN', 'MON', 'TUE', 'WED', 'THU', 'FRI', 'SAT'];

/** Every day named on its own: Scheduler counts from Sunday = 1, and its ranges may not run over the end of the week. */
function weekdays(field: string): string {
  const numberOf = (day: string): number => {
    const named = NAMES.indexOf(day.toUpperCase());
    return named >= 0 ? named : Number(day);
  };
  const days = new Set<string>();
  for (const part of field.split(',')) {
    const [range = '', step = '1'] = part.split('/');
    const [from, to = from] = range === '*' ? [0, 6] : range.split('-').map(numberOf);
    if (![from, to, Number(step)].every((n) => Number.isInteger(n) && n! >= 0 && n! <= 7)) {
      throw new SynthError('cron', 'days of the week from 0 to 7, or their names', field);
    }
    for (let day = from!; day <= to!; day += Number(step)) days.add(NAMES[day % 7]!);
  }
  return NAMES.filter((name) => days.has(name)).join(',');
}
