import { Duration, RemovalPolicy } from 'aws-cdk-lib';
import { AnyPrincipal, Effect, PolicyStatement } from 'aws-cdk-lib/aws-iam';
import { Key, KeySpec, KeyUsage } from 'aws-cdk-lib/aws-kms';
import { Construct } from 'constructs';
import { denyWithoutContext } from './keyPolicy.ts';

export interface RootKeysProps {
  /** Raised by one, it makes a new wrapping key. The old one stays, outside of the stack: it is needed until nothing is wrapped by it. @default 1 */
  readonly wrappingNumber?: number;
  /** The same for the signing key, which KMS does not rotate. The old one stays, to check what it signed. @default 1 */
  readonly signingNumber?: number;
}

/**
 * The root of trust: a multi-region key that wraps the keys of tenants, and one that signs manifests. The root key cannot be used
 * without an encryption context that says what for and whose. That stands in its own policy, so no role can be given more.
 */
export class RootKeys extends Construct {
  readonly wrapping: Key;
  readonly signing: Key;

  constructor(scope: Construct, id: string, { wrappingNumber = 1, signingNumber = 1 }: RootKeysProps = {}) {
    super(scope, id);
    const kept = {
      multiRegion: true,
      // A key that is gone takes every backup with it.
      pendingWindow: Duration.days(30),
      removalPolicy: RemovalPolicy.RETAIN,
    };
    this.wrapping = new Key(this, numbered('Wrapping', wrappingNumber), {
      ...kept,
      description: 'Holdfast: wraps the keys of tenants',
      enableKeyRotation: true,
      // KMS keeps every older version and unwraps with the one that wrapped, so nothing has to be written anew.
      rotationPeriod: Duration.days(90),
    });
    for (const statement of denyWithoutContext()) this.wrapping.addToResourcePolicy(statement);
    this.signing = new Key(this, numbered('Signing', signingNumber), {
      ...kept,
      description: 'Holdfast: signs manifests, seals and certificates',
      keySpec: KeySpec.ECC_NIST_P256,
      keyUsage: KeyUsage.SIGN_VERIFY,
    });
    // A signature proves who wrote a backup only as long as nobody can hand the right to sign on.
    this.signing.addToResourcePolicy(
      new PolicyStatement({
        sid: 'SignDigestsOnly',
        effect: Effect.DENY,
        principals: [new AnyPrincipal()],
        actions: ['kms:Sign'],
        resources: ['*'],
        conditions: { StringNotEquals: { 'kms:MessageType': 'DIGEST' } },
      }),
    );
  }
}

/** Another id is another key to CloudFormation. */
const numbered = (id: string, number: number): string => (number === 1 ? id : `${id}${number}`);
