import { Duration } from 'aws-cdk-lib';
import { Alarm, ComparisonOperator, type IMetric, Metric, TreatMissingData } from 'aws-cdk-lib/aws-cloudwatch';
import { SnsAction } from 'aws-cdk-lib/aws-cloudwatch-actions';
import type { ITopic } from 'aws-cdk-lib/aws-sns';
import type { IQueue } from 'aws-cdk-lib/aws-sqs';
import { Construct } from 'constructs';
import { SynthError } from '../synthError.ts';
import type { Handler } from './handler.ts';
import type { Workflow } from './workflow.ts';

export interface AlarmsProps {
  /** Hears of every alarm, and of its end. */
  readonly topic: ITopic;
  /** By name, which is in the names of their alarms. Each that fails or takes too long is told. */
  readonly workflows: Readonly<Record<string, Workflow>>;
  /** Workflows that must succeed at least so often, in hours, e.g. `{backup: 26}`. Quiet is a failure too. @default none */
  readonly atLeastEvery?: Readonly<Record<string, number>>;
  /** Functions that are told of when they are throttled, by name. @default none */
  readonly handlers?: Readonly<Record<string, Handler>>;
  /** What could not be started or delivered. @default none */
  readonly queues?: Readonly<Record<string, IQueue>>;
  /** The name under which functions report figures: that of the installation. @default no alarm looks at them */
  readonly service?: string;
  /** Replication of this bucket. @default none */
  readonly replication?: { readonly bucketName: string; readonly replicaName: string; readonly minutes?: number };
}

const HOUR = Duration.hours(1);
/** CloudWatch looks back a week at most. */
const LONGEST_HOURS = 24 * 7;

/** One alarm for each way in which protection can stop without anyone asking for it. */
export class Alarms extends Construct {
  readonly #action: SnsAction;

  /** @throws SynthError for a workflow that is not there, or an interval that CloudWatch cannot watch */
  constructor(scope: Construct, id: string, props: AlarmsProps) {
    super(scope, id);
    this.#action = new SnsAction(props.topic);
    const period = Duration.minutes(5);
    for (const [name, { stateMachine }] of Object.entries(props.workflows)) {
      this.#add(`${name}-failed`, `The workflow ${name} failed.`, stateMachine.metricFailed({ period }), 1);
      this.#add(`${name}-timed-out`, `The workflow ${name} took too long.`, stateMachine.metricTimedOut({ period }), 1);
    }
    for (const [name, hours] of Object.entries(props.atLeastEvery ?? {}))
      this.#quiet(name, hours, props.workflows[name]);
    for (const [name, handler] of Object.entries(props.handlers ?? {})) {
      const metric = handler.function.metricThrottles({ period });
      this.#add(`${name}-throttled`, `The function ${name} was throttled for a quarter of an hour.`, metric, 1, 3);
    }
    for (const [name, queue] of Object.entries(props.queues ?? {})) {
      const metric = queue.metricApproximateNumberOfMessagesVisible({ period });
      this.#add(
        `${name}-not-empty`,
        `Something could not be started or delivered: look into the queue ${name}.`,
        metric,
        1,
      );
    }
    if (props.service) this.#owed(props.service);
    if (props.replication) this.#replication(props.replication);
  }

  /** What `watch` counts. The alarm stands until the last one has come; which they are, a message says once each. */
  #owed(service: string): void {
    const metric = new Metric({
      namespace: 'Holdfast',
      metricName: 'Owed',
      dimensionsMap: { service },
      statistic: 'Maximum',
      period: Duration.minutes(30), // it looks every 15
    });
    this.#add('schedules-owed', 'Scheduled backups have not come: see "holdfast schedules late".', metric, 1);
  }

  /** A workflow that should have succeeded by now. Nothing at all is as bad as a failure. */
  #quiet(name: string, hours: number, workflow: Workflow | undefined): void {
    if (!workflow) throw new SynthError('atLeastEvery', 'the name of a workflow', name);
    if (!Number.isInteger(hours) || hours < 1 || hours > LONGEST_HOURS) {
      throw new SynthError(`atLeastEvery.${name}`, `1 to ${LONGEST_HOURS} whole hours`, hours);
    }
    new Alarm(this, `${name}-late`, {
      alarmDescription: `The workflow ${name} has not succeeded for ${hours} hours.`,
      metric: workflow.stateMachine.metricSucceeded({ period: HOUR, statistic: 'Sum' }),
      comparisonOperator: ComparisonOperator.LESS_THAN_THRESHOLD,
      threshold: 1,
      evaluationPeriods: hours,
      treatMissingData: TreatMissingData.BREACHING,
    }).addAlarmAction(this.#action);
  }

  #replication({ bucketName, replicaName, minutes = 30 }: NonNullable<AlarmsProps['replication']>): void {
    const metric = (metricName: string, statistic: string) =>
      new Metric({
        namespace: 'AWS/S3',
        metricName,
        dimensionsMap: { SourceBucket: bucketName, DestinationBucket: replicaName, RuleId: 'secondary' },
        statistic,
        period: Duration.minutes(5),
      });
    const latency = metric('ReplicationLatency', 'Maximum');
    this.#add('replica-late', `The other region is more than ${minutes} minutes behind.`, latency, minutes * 60, 3);
    const failed = metric('OperationsFailedReplication', 'Sum');
    this.#add('replica-failed', 'Objects could not be copied to the other region.', failed, 1);
  }

  #add(id: string, alarmDescription: string, metric: IMetric, threshold: number, evaluationPeriods = 1): void {
    const alarm = new Alarm(this, id, {
      alarmDescription,
      metric,
      threshold,
      evaluationPeriods,
      comparisonOperator: ComparisonOperator.GREATER_THAN_OR_EQUAL_TO_THRESHOLD,
      treatMissingData: TreatMissingData.NOT_BREACHING,
    });
    alarm.addAlarmAction(this.#action);
    alarm.addOkAction(this.#action);
  }
}
