import { Stack, type StackProps } from 'aws-cdk-lib';
import type { Construct } from 'constructs';
import { Parameters } from '../constructs/parameters.ts';
import { ReplicaKeys } from '../constructs/replicaKeys.ts';
import { Vault } from '../constructs/vault.ts';
import type { Installation } from '../installation.ts';
import type { VaultTerms } from '../vaultTerms.ts';

export interface SecondaryStackProps extends StackProps {
  /** Whose names it uses. */
  readonly installation: Installation;
  /** ARN that the key stack printed. Given by hand once: a reference would tie this region to the one that may be lost. */
  readonly wrappingKeyArn: string;
  /** The same of the key that signs. */
  readonly signingKeyArn: string;
  /** Of the bucket of copies. */
  readonly terms: VaultTerms;
}

/**
 * What must be in the other region while the primary one is dark: the copy of every backup, and the keys to read it. Deployed before
 * the primary stack, whose bucket replicates into this one.
 */
export class SecondaryStack extends Stack {
  constructor(scope: Construct, id: string, props: SecondaryStackProps) {
    const { installation, wrappingKeyArn, signingKeyArn, terms, ...rest } = props;
    super(scope, id, { ...rest, terminationProtection: true });
    new ReplicaKeys(this, 'RootKeys', { wrappingKeyArn, signingKeyArn });
    const vault = new Vault(this, 'Vault', { bucketName: installation.vaultName(this.region), ...terms });
    new Parameters(this, 'Parameters', installation, {
      'vault-name': vault.bucket.bucketName,
      'vault-key-arn': vault.key.keyArn,
    });
  }
}
