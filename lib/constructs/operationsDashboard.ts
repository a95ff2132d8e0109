import { Duration } from 'aws-cdk-lib';
import { Dashboard, GraphWidget, type IMetric, type IWidget, Metric, PeriodOverride } from 'aws-cdk-lib/aws-cloudwatch';
import { Construct } from 'constructs';
import type { Workflow } from './workflow.ts';

export interface OperationsDashboardProps {
  /** Once in an account. */
  readonly dashboardName: string;
  /** By the name that graphs give them. */
  readonly workflows: Readonly<Record<string, Workflow>>;
  /** The bucket of backups, whose size is shown. */
  readonly bucketName: string;
}

const DAY = Duration.days(1);

/** What was protected and what was not, day by day: one page to look at in the morning. */
export class OperationsDashboard extends Construct {
  constructor(scope: Construct, id: string, { dashboardName, workflows, bucketName }: OperationsDashboardProps) {
    super(scope, id);
    const machines = Object.entries(workflows).map(([label, { stateMachine }]) => ({ label, stateMachine }));
    const size = (StorageType: string) =>
      new Metric({
        namespace: 'AWS/S3',
        metricName: 'BucketSizeBytes',
        dimensionsMap: { BucketName: bucketName, StorageType },
        label: StorageType,
        statistic: 'Average',
        period: DAY,
      });
    const graph = (title: string, left: IMetric[]) => new GraphWidget({ title, left, width: 12 }) as IWidget;
    new Dashboard(this, 'Dashboard', {
      dashboardName,
      defaultInterval: Duration.days(28),
      periodOverride: PeriodOverride.INHERIT,
      widgets: [
        [
          graph(
            'Succeeded, by workflow and day',
            machines.map((m) => m.stateMachine.metricSucceeded({ label: m.label, period: DAY })),
          ),
          graph(
            'Failed, by workflow and day',
            machines.map((m) => m.stateMachine.metricFailed({ label: m.label, period: DAY })),
          ),
        ],
        [
          graph(
            'Longest, in milliseconds',
            machines.map((m) => m.stateMachine.metricTime({ label: m.label, period: DAY, statistic: 'Maximum' })),
          ),
          graph('Bytes in the vault', [size('StandardStorage'), size('GlacierInstantRetrievalStorage')]),
        ],
      ],
    });
  }
}
