import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { ArnFormat, RemovalPolicy, Stack } from 'aws-cdk-lib';
import { type IGrantable, PolicyStatement } from 'aws-cdk-lib/aws-iam';
import { LogGroup, RetentionDays } from 'aws-cdk-lib/aws-logs';
import { DefinitionBody, LogLevel, StateMachine } from 'aws-cdk-lib/aws-stepfunctions';
import { Construct } from 'constructs';
import { accept } from '../accept.ts';
import { SynthError } from '../synthError.ts';
import type { Handler } from './handler.ts';

const FUNCTIONS = join(import.meta.dirname, '../../functions');

export interface WorkflowProps {
  /** Folder under `functions/`; the definition is `<name>/<name>.asl.json` in it. */
  readonly name: string;
  /** The name under which Step Functions knows it; others can then start it without reading an output. */
  readonly stateMachineName: string;
  /** One for each `${name}` in the definition, which stands for the function's ARN. */
  readonly handlers: Readonly<Record<string, Handler>>;
  /** Other `${name}`s: ARNs and ids. @default none */
  readonly values?: Readonly<Record<string, string>>;
}

/**
 * A state machine out of the file that the local runner reads too. Its role may invoke its own functions and nothing else; what a
 * definition calls directly is granted by the caller.
 */
export class Workflow extends Construct {
  /** Of its folder. */
  readonly name: string;
  readonly stateMachine: StateMachine;

  /** @throws SynthError when the definition names a handler that was not given, or one was given that it does not name */
  constructor(scope: Construct, id: string, props: WorkflowProps) {
    super(scope, id);
    this.name = props.name;
    const path = join(FUNCTIONS, props.name, `${props.name}.asl.json`);
    const substitutions: Record<string, string> = { ...props.values };
    for (const [name, handler] of Object.entries(props.handlers)) substitutions[name] = handler.function.functionArn;
    const text = readFileSync(path, 'utf8');
    checkNames(props.name, text, Object.keys(substitutions));
    this.stateMachine = new StateMachine(this, 'StateMachine', {
      stateMachineName: props.stateMachineName,
      definitionBody: DefinitionBody.fromString(text),
      definitionSubstitutions: substitutions,
      tracingEnabled: true,
      logs: {
        destination: new LogGroup(this, 'Logs', {
          logGroupName: `/aws/vendedlogs/states/${props.stateMachineName}`,
          retention: RetentionDays.ONE_YEAR,
          removalPolicy: RemovalPolicy.RETAIN,
        }),
        level: LogLevel.ALL,
        includeExecutionData: false, // inputs name tenants
      },
    });
    for (const handler of Object.values(props.handlers)) handler.function.grantInvoke(this.stateMachine);
    if (text.includes('"DISTRIBUTED"')) this.#allowChildren(props.stateMachineName);
    accept(
      this,
      ['AWS::IAM::Policy'],
      [
        {
          id: 'AwsSolutions-IAM5',
          reason:
            'Executions and versions of functions have names that are made at run time, below one name each; X-Ray and the delivery of logs know no resource.',
        },
      ],
    );
  }

  grantStart(grantee: IGrantable): void {
    this.stateMachine.grantStartExecution(grantee);
  }

  /** A Distributed Map starts its items as executions of the machine itself. */
  #allowChildren(name: string): void {
    const stack = Stack.of(this);
    // By name: the machine's own ARN in the policy of its own role would be a circle.
    const machine = stack.formatArn({
      service: 'states',
      resource: 'stateMachine',
      resourceName: name,
      arnFormat: ArnFormat.COLON_RESOURCE_NAME,
    });
    const runs = machine.replace(':stateMachine:', ':execution:');
    const allow = (actions: string[], resource: string) =>
      this.stateMachine.addToRolePolicy(new PolicyStatement({ actions, resources: [resource] }));
    allow(['states:StartExecution'], machine);
    allow(['states:DescribeExecution', 'states:StopExecution'], `${runs}:*`);
    allow(['states:RedriveExecution'], `${runs}/*`);
  }
}

function checkNames(workflow: string, text: string, given: readonly string[]): void {
  const named = new Set([...text.matchAll(/\$\{(\w+)\}/g)].map((match) => match[1]!));
  const missing = [...named].filter((name) => !given.includes(name));
  const spare = given.filter((name) => !named.has(name));
  if (missing.length + spare.length > 0) {
    throw new SynthError(`handlers of workflow ${workflow}`, `exactly ${[...named].join(', ')}`, given.join(', '));
  }
}
