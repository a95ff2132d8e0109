import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { Duration, RemovalPolicy, Size, Stack } from 'aws-cdk-lib';
import type { ISecurityGroup, IVpc, SubnetSelection } from 'aws-cdk-lib/aws-ec2';
import { Effect, PolicyStatement, Role, ServicePrincipal } from 'aws-cdk-lib/aws-iam';
import {
  Architecture,
  Code,
  type ILayerVersion,
  Function as LambdaFunction,
  Runtime,
  Tracing,
} from 'aws-cdk-lib/aws-lambda';
import { LogGroup, RetentionDays } from 'aws-cdk-lib/aws-logs';
import { Construct } from 'constructs';
import { accept } from '../accept.ts';
import { writeBundle } from '../bundle.ts';
import { SynthError } from '../synthError.ts';

/** What stands in for the code where `aws:cdk:bundling-stacks` leaves the stack out: templates are then made in a moment. */
const NOT_BUNDLED = '// not bundled';

/** Where the functions that speak to the database run. */
export interface HandlerNetwork {
  /** With a way to the services of AWS: a NAT gateway or endpoints. */
  readonly vpc: IVpc;
  /** Groups that the database lets in. */
  readonly securityGroups: readonly ISecurityGroup[];
  /** @default private subnets with egress */
  readonly subnets?: SubnetSelection;
}

export interface HandlerProps {
  /** Path of the module that exports `handler`, from the top of the project, e.g. `functions/backup/plan.ts`. */
  readonly entry: string;
  /** Modules that are left out of its bundle; see `writeBundle`. @default none */
  readonly without?: readonly string[];
  /** Variables beside those of every function. @default none */
  readonly environment?: Readonly<Record<string, string>>;
  /** @default no network of its own: the function does not reach the database */
  readonly network?: HandlerNetwork;
  /** At `/opt`. @default none */
  readonly layers?: readonly ILayerVersion[];
  /** MiB. CPU grows with it: 1769 is one core. @default 512 */
  readonly memory?: number;
  /** MiB of temporary files. @default 512 */
  readonly disk?: number;
  /** Seconds; 900 at most. @default 60 */
  readonly timeout?: number;
  /** A fixed name of its role, where another account must know it. @default made by CloudFormation */
  readonly roleName?: string;
  /** How many run at once, to spare the database. @default as many as the account allows */
  readonly concurrency?: number;
}

/**
 * A function on Node 24 and ARM, with a log group that ends, its own role with nothing but the right to log, and tracing. What it may
 * do beyond that is granted to it by name.
 */
export class Handler extends Construct {
  readonly function: LambdaFunction;

  /** @throws SynthError for a timeout, memory or disk that Lambda does not have */
  constructor(scope: Construct, id: string, props: HandlerProps) {
    super(scope, id);
    const { memory = 512, timeout = 60, disk = 512, network } = props;
    if (timeout < 1 || timeout > 900) throw new SynthError('timeout', '1 to 900 seconds', timeout);
    if (memory < 128 || memory > 10_240) throw new SynthError('memory', '128 to 10240 MiB', memory);
    if (disk < 512 || disk > 10_240) throw new SynthError('disk', '512 to 10240 MiB', disk);
    const logGroup = new LogGroup(this, 'Logs', {
      retention: RetentionDays.ONE_YEAR,
      removalPolicy: RemovalPolicy.RETAIN,
    });
    const role = new Role(this, 'Role', {
      assumedBy: new ServicePrincipal('lambda.amazonaws.com'),
      ...(props.roleName === undefined ? {} : { roleName: props.roleName }),
    });
    logGroup.grantWrite(role);
    if (network) role.addToPolicy(networkRights());
    this.function = this.#withCode(
      props,
      (code) =>
        new LambdaFunction(this, 'Function', {
          code,
          handler: 'index.handler',
          runtime: Runtime.NODEJS_24_X,
          architecture: Architecture.ARM_64,
          memorySize: memory,
          ephemeralStorageSize: Size.mebibytes(disk),
          timeout: Duration.seconds(timeout),
          role,
          logGroup,
          tracing: Tracing.ACTIVE,
          environment: {
            NODE_OPTIONS: '--enable-source-maps',
            POWERTOOLS_SERVICE_NAME: 'holdfast',
            ...props.environment,
          },
          layers: [...(props.layers ?? [])],
          ...(props.concurrency === undefined ? {} : { reservedConcurrentExecutions: props.concurrency }),
          ...(network
            ? {
                vpc: network.vpc,
                securityGroups: [...network.securityGroups],
                ...(network.subnets ? { vpcSubnets: network.subnets } : {}),
              }
            : {}),
        }),
    );
    accept(
      this,
      ['AWS::IAM::Policy'],
      [
        {
          id: 'AwsSolutions-IAM5',
          reason:
            'X-Ray and network interfaces know no resource to be narrowed to; objects and log streams are below one name.',
        },
      ],
    );
  }

  #withCode({ entry, without }: HandlerProps, make: (code: Code) => LambdaFunction): LambdaFunction {
    if (!Stack.of(this).bundlingRequired) return make(Code.fromInline(NOT_BUNDLED));
    const folder = mkdtempSync(join(tmpdir(), 'holdfast-bundle-'));
    try {
      this.node.addMetadata('bundle-bytes', writeBundle(entry, folder, without));
      return make(Code.fromAsset(folder)); // copied into the cloud assembly before this returns
    } finally {
      rmSync(folder, { recursive: true });
    }
  }
}

/** What Lambda needs to put a function into a network; these actions know no resource to be narrowed to. */
const networkRights = (): PolicyStatement =>
  new PolicyStatement({
    effect: Effect.ALLOW,
    actions: [
      'ec2:CreateNetworkInterface',
      'ec2:DescribeNetworkInterfaces',
      'ec2:DescribeSubnets',
      'ec2:DeleteNetworkInterface',
      'ec2:AssignPrivateIpAddresses',
      'ec2:UnassignPrivateIpAddresses',
    ],
    resources: ['*'],
  });
