import { Token } from 'aws-cdk-lib';
import { type IGrantable, PolicyStatement } from 'aws-cdk-lib/aws-iam';
import { SynthError } from '../synthError.ts';
import { PURPOSES } from './keyPolicy.ts';

/** The root keys, wherever they were made: ARNs, known at synthesis or at deployment. */
export interface RootKeyArns {
  /** Of the multi-region key that wraps keys of tenants. */
  readonly wrapping: string;
  /** Of the key that signs manifests. */
  readonly signing: string;
  /** Root keys that were replaced: what they wrapped is still unwrapped, until it has been wrapped anew. @default none */
  readonly formerWrapping?: readonly string[];
  /** Signing keys that were replaced: what they signed is still believed. @default none */
  readonly formerSigning?: readonly string[];
}

/** How a function finds the keys. */
export function keyEnvironment({
  wrapping,
  signing,
  formerWrapping = [],
  formerSigning = [],
}: RootKeyArns): Record<string, string> {
  return {
    HOLDFAST_ROOT_KEY: wrapping,
    HOLDFAST_SIGNING_KEYS: [signing, ...formerSigning].join(','),
    ...(formerWrapping.length > 0 ? { HOLDFAST_FORMER_ROOT_KEYS: formerWrapping.join(',') } : {}),
  };
}

/**
 * @param region of the functions, where it is known: they ask the service there, which answers for no key of another region
 * @throws SynthError for a former key that is not the ARN of a key in that region
 */
export function checkFormerKeys({ formerWrapping = [], formerSigning = [] }: RootKeyArns, region: string): void {
  const check = (prop: string, arns: readonly string[]) => {
    for (const arn of arns) {
      const [, found] = /^arn:aws[\w-]*:kms:([\w-]+):\d{12}:key\/[\w-]+$/.exec(arn) ?? [];
      const here = found !== undefined && (found === region || Token.isUnresolved(region));
      if (!here) throw new SynthError(prop, `the ARN of a key in ${region}, where the functions are`, arn);
    }
  };
  check('keys.former', formerWrapping);
  check('keys.signing', formerSigning);
}

/** To make and read backups: wrap and unwrap the keys of tenants, and check signatures. Former keys unwrap and check only. */
export function grantKeyUse(grantee: IGrantable, keys: RootKeyArns): void {
  const forAPurpose = { StringEquals: { 'kms:EncryptionContext:purpose': PURPOSES } };
  add(grantee, keys.wrapping, ['kms:Decrypt', 'kms:Encrypt', 'kms:GenerateDataKey'], forAPurpose);
  for (const former of keys.formerWrapping ?? []) add(grantee, former, ['kms:Decrypt'], forAPurpose);
  for (const signing of [keys.signing, ...(keys.formerSigning ?? [])]) add(grantee, signing, ['kms:GetPublicKey']);
}

/** The same, and to sign manifests. */
export function grantKeySign(grantee: IGrantable, keys: RootKeyArns): void {
  grantKeyUse(grantee, keys);
  add(grantee, keys.signing, ['kms:Sign']);
}

/** To tell how old they are. Neither uses a key. */
export function grantKeyAges(grantee: IGrantable, keys: RootKeyArns): void {
  add(grantee, keys.wrapping, ['kms:DescribeKey', 'kms:GetKeyRotationStatus', 'kms:ListKeyRotations']);
  add(grantee, keys.signing, ['kms:DescribeKey']);
}

function add(grantee: IGrantable, arn: string, actions: string[], conditions?: Record<string, unknown>): void {
  grantee.grantPrincipal.addToPrincipalPolicy(
    new PolicyStatement({ actions, resources: [arn], ...(conditions ? { conditions } : {}) }),
  );
}
