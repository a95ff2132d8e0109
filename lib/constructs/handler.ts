import { join } from 'node:path';
import { Duration, RemovalPolicy } from 'aws-cdk-lib';
import type { ISecurityGroup, IVpc, SubnetSelection } from 'aws-cdk-lib/aws-ec2';
import { Effect, PolicyStatement, Role, ServicePrincipal } from 'aws-cdk-lib/aws-iam';
import { Architecture, type ILayerVersion, Runtime, Tracing } from 'aws-cdk-lib/aws-lambda';
import { NodejsFunction, OutputFormat } from 'aws-cdk-lib/aws-lambda-nodejs';
import { LogGroup, RetentionDays } from 'aws-cdk-lib/aws-logs';
import { Construct } from 'constructs';
import { SynthError } from '../synthError.ts';

const ROOT = join(import.meta.dirname, '../..');

/** Where the functions that speak to the database run. */
export interface HandlerNetwork {
  readonly vpc: IVpc;
  /** Groups that the database lets in. */
  readonly securityGroups: readonly ISecurityGroup[];
  /** @default private subnets with egress */
  readonly subnets?: SubnetSelection;
}

export interface HandlerProps {
  /** Path of the module that exports `handler`, from the top of the project, e.g. `functions/backup/plan.ts`. */
  readonly entry: string;
  readonly environment?: Readonly<Record<string, string>>;
  /** @default no network of its own: the function does not reach the database */
  readonly network?: HandlerNetwork;
  readonly layers?: readonly ILayerVersion[];
  /** MiB. CPU grows with it: 1769 is one core. @default 512 */
  readonly memory?: number;
  /** Seconds; 900 at most. @default 60 */
  readonly timeout?: number;
  /** How many run at once, to spare the database. @default as many as the account allows */
  readonly concurrency?: number;
}

/**
 * A function on Node 24 and ARM, with a log group that ends, its own role with nothing but the right to log, and tracing. What it may
 * do beyond that is granted to it by name.
 */
export class Handler extends Construct {
  readonly function: NodejsFunction;

  /** @throws SynthError for a timeout or memory that Lambda does not have */
  constructor(scope: Construct, id: string, props: HandlerProps) {
    super(scope, id);
    const { memory = 512, timeout = 60, network } = props;
    if (timeout < 1 || timeout > 900) throw new SynthError('timeout', '1 to 900 seconds', timeout);
    if (memory < 128 || memory > 10_240) throw new SynthError('memory', '128 to 10240 MiB', memory);
    const logGroup = new LogGroup(this, 'Logs', {
      retention: RetentionDays.ONE_YEAR,
      removalPolicy: RemovalPolicy.RETAIN,
    });
    const role = new Role(this, 'Role', { assumedBy: new ServicePrincipal('lambda.amazonaws.com') });
    logGroup.grantWrite(role);
    if (network) role.addToPolicy(networkRights());
    this.function = new NodejsFunction(this, 'Function', {
      entry: join(ROOT, props.entry),
      depsLockFilePath: join(ROOT, 'package-lock.json'),
      projectRoot: ROOT,
      runtime: Runtime.NODEJS_24_X,
      architecture: Architecture.ARM_64,
      memorySize: memory,
      timeout: Duration.seconds(timeout),
      role,
      logGroup,
      tracing: Tracing.ACTIVE,
      environment: { NODE_OPTIONS: '--enable-source-maps', POWERTOOLS_SERVICE_NAME: 'holdfast', ...props.environment },
      layers: [...(props.layers ?? [])],
      ...(props.concurrency === undefined ? {} : { reservedConcurrentExecutions: props.concurrency }),
      ...(network
        ? {
            vpc: network.vpc,
            securityGroups: [...network.securityGroups],
            ...(network.subnets ? { vpcSubnets: network.subnets } : {}),
          }
        : {}),
      bundling: {
        format: OutputFormat.ESM,
        target: 'node24',
        minify: true,
        sourceMap: true,
        sourcesContent: false,
        // The SDK that the runtime carries is older than what this code was tested with.
        externalModules: [],
        // Some CommonJS packages ask for `require` at run time.
        banner: "import { createRequire } from 'node:module'; const require = createRequire(import.meta.url);",
        define: { 'process.env.HOLDFAST_BUNDLED': '"1"' },
      },
    });
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
