import { Aws, RemovalPolicy } from 'aws-cdk-lib';
import { AccountRootPrincipal, PolicyDocument, PolicyStatement } from 'aws-cdk-lib/aws-iam';
import { CfnReplicaKey, type IKey, Key } from 'aws-cdk-lib/aws-kms';
import { Construct } from 'constructs';
import { SynthError } from '../synthError.ts';
import { denyWithoutContext } from './keyPolicy.ts';

export interface ReplicaKeysProps {
  /** ARN of the multi-region key in the primary region, as the key stack printed it. */
  readonly wrappingKeyArn: string;
  /** The same of the key that signs. */
  readonly signingKeyArn: string;
}

/** The root keys in another region: the same keys under the same ids, usable when the primary region is dark. */
export class ReplicaKeys extends Construct {
  readonly wrapping: IKey;
  readonly signing: IKey;

  /** @throws SynthError when a key is not a multi-region one: it could not be here */
  constructor(scope: Construct, id: string, { wrappingKeyArn, signingKeyArn }: ReplicaKeysProps) {
    super(scope, id);
    this.wrapping = this.#replica('Wrapping', wrappingKeyArn, denyWithoutContext());
    this.signing = this.#replica('Signing', signingKeyArn, []);
  }

  #replica(id: string, primaryKeyArn: string, denials: PolicyStatement[]): IKey {
    if (!/^arn:aws[\w-]*:kms:[\w-]+:\d{12}:key\/mrk-\w+$/.test(primaryKeyArn)) {
      throw new SynthError(`${id.toLowerCase()}KeyArn`, 'the ARN of a multi-region key (…:key/mrk-…)', primaryKeyArn);
    }
    const key = new CfnReplicaKey(this, id, {
      primaryKeyArn,
      description: `Holdfast: ${id.toLowerCase()} key, replica`,
      pendingWindowInDays: 30,
      keyPolicy: new PolicyDocument({
        statements: [
          // As for the primary: rights are given by the policies of roles in this account.
          new PolicyStatement({ principals: [new AccountRootPrincipal()], actions: ['kms:*'], resources: ['*'] }),
          ...denials,
        ],
      }),
    });
    key.applyRemovalPolicy(RemovalPolicy.RETAIN);
    const keyId = primaryKeyArn.slice(primaryKeyArn.indexOf('key/'));
    return Key.fromKeyArn(this, `${id}Key`, `arn:${Aws.PARTITION}:kms:${Aws.REGION}:${Aws.ACCOUNT_ID}:${keyId}`);
  }
}
