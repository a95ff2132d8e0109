import { type IGrantable, PolicyStatement } from 'aws-cdk-lib/aws-iam';
import { PURPOSES } from './keyPolicy.ts';

/** The root keys, wherever they were made: ARNs, known at synthesis or at deployment. */
export interface RootKeyArns {
  readonly wrapping: string;
  readonly signing: string;
}

/** To make and read backups: wrap and unwrap the keys of tenants, and check signatures. */
export function grantKeyUse(grantee: IGrantable, keys: RootKeyArns): void {
  add(grantee, keys.wrapping, ['kms:Decrypt', 'kms:Encrypt', 'kms:GenerateDataKey'], {
    StringEquals: { 'kms:EncryptionContext:purpose': PURPOSES },
  });
  add(grantee, keys.signing, ['kms:GetPublicKey']);
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
