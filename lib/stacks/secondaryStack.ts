import { Stack, type StackProps } from 'aws-cdk-lib';
import type { Construct } from 'constructs';
import { WORKFLOWS } from '../../functions/catalogue.ts';
import { Alarms } from '../constructs/alarms.ts';
import { Fleet } from '../constructs/fleet.ts';
import { keyEnvironment, type RootKeyArns } from '../constructs/keyRights.ts';
import { MapLayer } from '../constructs/mapLayer.ts';
import { Notifications } from '../constructs/notifications.ts';
import { Parameters } from '../constructs/parameters.ts';
import { ReplicaKeys } from '../constructs/replicaKeys.ts';
import { Schedules } from '../constructs/schedules.ts';
import { Vault } from '../constructs/vault.ts';
import type { Installation } from '../installation.ts';
import { readMapFile } from '../mapFile.ts';
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
  /** Path of holdfast.yaml, which says how long copies stay, and which keys were replaced. */
  readonly map: string;
  /** When what retention gives up is removed from the copies, in UTC. @default Sundays at 06:00 */
  readonly cron?: string;
  /** Who hears of what went wrong here; each confirms by a link. @default none */
  readonly emails?: readonly string[];
}

/**
 * What must be in the other region while the primary one is dark: the copy of every backup, the keys to read it, and what removes from
 * it, for nothing in the primary region has a right to. Deployed before the primary stack, whose bucket replicates into this one.
 */
export class SecondaryStack extends Stack {
  constructor(scope: Construct, id: string, props: SecondaryStackProps) {
    const {
      installation,
      wrappingKeyArn,
      signingKeyArn,
      terms,
      map: file,
      cron = '0 6 * * 0',
      emails,
      ...rest
    } = props;
    super(scope, id, { ...rest, terminationProtection: true });
    const replicas = new ReplicaKeys(this, 'RootKeys', { wrappingKeyArn, signingKeyArn });
    const vault = new Vault(this, 'Vault', { bucketName: installation.vaultName(this.region), ...terms });
    const notifications = new Notifications(this, 'Notifications', {
      topicName: `${installation.name}-copies`,
      ...(emails ? { emails } : {}),
    });
    const map = new MapLayer(this, 'Map', { map: file });
    const keys: RootKeyArns = {
      wrapping: replicas.wrapping.keyArn,
      signing: replicas.signing.keyArn,
      ...formerHere(file, this.region),
    };
    const fleet = new Fleet(this, 'Fleet', {
      workflows: WORKFLOWS.filter(({ place }) => place === 'secondary'),
      name: installation.name,
      vault,
      map,
      notifications,
      keys,
      environment: {
        ...map.environment,
        ...keyEnvironment(keys),
        POWERTOOLS_SERVICE_NAME: installation.name,
        HOLDFAST_STORE: `s3://${vault.bucket.bucketName}/`,
      },
    });
    const schedules = new Schedules(this, 'Schedules', {
      groupName: installation.name,
      key: notifications.key,
      runs: [{ name: 'retention', cron, workflow: fleet.workflows.retention! }],
      workflows: [],
    });
    new Alarms(this, 'Alarms', {
      topic: notifications.topic,
      workflows: fleet.workflows,
      queues: { schedules: schedules.missed },
    });
    new Parameters(this, 'Parameters', installation, {
      'vault-name': vault.bucket.bucketName,
      'vault-key-arn': vault.key.keyArn,
    });
  }
}

/** Keys that were replaced, as they are called in this region: what they signed and wrapped lies in the copy too. */
function formerHere(map: string, region: string): Pick<RootKeyArns, 'formerWrapping' | 'formerSigning'> {
  const { kms } = readMapFile(map);
  const here = (arns: readonly string[] = []) =>
    arns.filter((arn) => /:key\/mrk-/.test(arn)).map((arn) => arn.replace(/^(arn:[^:]+:kms:)[^:]+/, `$1${region}`));
  return { formerWrapping: here(kms?.former), formerSigning: here(kms?.signing) };
}
