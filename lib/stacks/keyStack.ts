import { Stack, type StackProps } from 'aws-cdk-lib';
import type { Construct } from 'constructs';
import { Parameters } from '../constructs/parameters.ts';
import { PersonKeyTable } from '../constructs/personKeyTable.ts';
import { RootKeys, type RootKeysProps } from '../constructs/rootKeys.ts';
import type { Installation } from '../installation.ts';

export interface KeyStackProps extends StackProps {
  /** Whose names it uses. */
  readonly installation: Installation;
  /** @default the first of each */
  readonly rootKeys?: RootKeysProps;
}

/**
 * The root keys and the keys of persons, in the primary region. Apart from everything else because they outlive it: the other stacks
 * can be deleted and made again, these never.
 */
export class KeyStack extends Stack {
  constructor(scope: Construct, id: string, { installation, rootKeys, ...props }: KeyStackProps) {
    super(scope, id, { ...props, terminationProtection: true });
    const keys = new RootKeys(this, 'RootKeys', rootKeys);
    const { secondaryRegion } = installation;
    new PersonKeyTable(this, 'PersonKeys', {
      tableName: installation.personKeyTable,
      replicaRegions: secondaryRegion === undefined ? [] : [secondaryRegion],
    });
    new Parameters(this, 'Parameters', installation, {
      'wrapping-key-arn': keys.wrapping.keyArn,
      'signing-key-arn': keys.signing.keyArn,
    });
  }
}
