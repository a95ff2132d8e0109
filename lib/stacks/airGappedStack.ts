import { Stack, type StackProps } from 'aws-cdk-lib';
import type { Construct } from 'constructs';
import { Parameters } from '../constructs/parameters.ts';
import { Vault } from '../constructs/vault.ts';
import type { Installation } from '../installation.ts';
import { SynthError } from '../synthError.ts';

export interface AirGappedStackProps extends StackProps {
  readonly installation: Installation;
  /** Twelve digits; another account than that of the installation. */
  readonly account: string;
  /** How long nobody at all can delete what was pulled. @default 400 */
  readonly lockDays?: number;
}

/**
 * A copy that no one who has broken into the main account can reach: its own account, whose function pulls, and a lock that not even
 * that account's root can lift. Nothing in the main account has a right here.
 */
export class AirGappedStack extends Stack {
  readonly vault: Vault;

  constructor(scope: Construct, id: string, props: AirGappedStackProps) {
    const { installation, account, lockDays = 400, ...rest } = props;
    if (account === installation.account) {
      throw new SynthError(
        'account',
        `another account than ${installation.account}: the copy must survive its loss`,
        account,
      );
    }
    super(scope, id, { ...rest, terminationProtection: true });
    this.vault = new Vault(this, 'Vault', {
      bucketName: `${installation.name}-airgap-${account}-${this.region}`,
      lock: { mode: 'compliance', days: lockDays },
    });
    new Parameters(this, 'Parameters', installation, { 'air-gapped-vault-name': this.vault.bucket.bucketName });
  }
}
