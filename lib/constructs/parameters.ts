import { CfnOutput } from 'aws-cdk-lib';
import { StringParameter } from 'aws-cdk-lib/aws-ssm';
import { Construct } from 'constructs';
import type { Installation } from '../installation.ts';

/** Publishes what an operator, a runbook or a program looks up: under a fixed name in Parameter Store, and as an output. */
export class Parameters extends Construct {
  constructor(scope: Construct, id: string, installation: Installation, values: Readonly<Record<string, string>>) {
    super(scope, id);
    for (const [name, value] of Object.entries(values)) {
      new StringParameter(this, name, { parameterName: installation.parameter(name), stringValue: value });
      new CfnOutput(this, `${name}-output`, { value, key: camel(name) });
    }
  }
}

/** CloudFormation has no hyphens in the names of outputs. */
const camel = (name: string): string => name.replace(/-(\w)/g, (_, letter: string) => letter.toUpperCase());
