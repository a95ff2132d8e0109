import { Aws, Stack, type StackProps } from 'aws-cdk-lib';
import { PolicyStatement } from 'aws-cdk-lib/aws-iam';
import type { Construct } from 'constructs';
import { WORKFLOWS } from '../../functions/catalogue.ts';
import { Alarms } from '../constructs/alarms.ts';
import { Fleet } from '../constructs/fleet.ts';
import type { Handler } from '../constructs/handler.ts';
import { MapLayer } from '../constructs/mapLayer.ts';
import { Notifications } from '../constructs/notifications.ts';
import { Parameters } from '../constructs/parameters.ts';
import { Schedules } from '../constructs/schedules.ts';
import { Vault } from '../constructs/vault.ts';
import type { Installation } from '../installation.ts';
import { SynthError } from '../synthError.ts';

export interface AirGappedStackProps extends StackProps {
  /** The one that is pulled from. */
  readonly installation: Installation;
  /** Twelve digits; another account than that of the installation. */
  readonly account: string;
  /** ARN of the key of the bucket that it pulls from, as the primary stack printed it. */
  readonly sourceKeyArn: string;
  /** Path of holdfast.yaml. */
  readonly map: string;
  /** Path of the public keys whose signatures it believes; brought over by hand, since whoever sends backups must not say who to trust. */
  readonly publicKeys: string;
  /** When it pulls. @default the first day of each quarter at 04:00 */
  readonly cron?: string;
  /** Who hears of what went wrong; each confirms by a link. @default none */
  readonly emails?: readonly string[];
  /** How long nobody at all can delete what was pulled. @default 400 */
  readonly lockDays?: number;
}

/**
 * A copy that no one who has broken into the main account can reach: its own account, whose function pulls, and a lock that not even
 * that account's root can lift. Nothing in the main account has a right here.
 */
export class AirGappedStack extends Stack {
  constructor(scope: Construct, id: string, props: AirGappedStackProps) {
    const {
      installation,
      account,
      map: file,
      publicKeys,
      sourceKeyArn,
      cron = '0 4 1 1,4,7,10 *',
      lockDays = 400,
      ...rest
    } = props;
    if (account === installation.account) {
      throw new SynthError(
        'account',
        `another account than ${installation.account}: the copy must survive its loss`,
        account,
      );
    }
    super(scope, id, { ...rest, terminationProtection: true });
    const vault = new Vault(this, 'Vault', {
      bucketName: `${installation.name}-airgap-${account}-${this.region}`,
      lock: { mode: 'compliance', days: lockDays },
    });
    const notifications = new Notifications(this, 'Notifications', {
      topicName: `${installation.name}-air-gap`,
      ...(props.emails ? { emails: props.emails } : {}),
    });
    const map = new MapLayer(this, 'Map', { map: file, publicKeys });
    const workflows = WORKFLOWS.filter(({ place }) => place === 'air-gapped');
    const fleet = new Fleet(this, 'Fleet', {
      workflows,
      name: installation.name,
      vault,
      map,
      notifications,
      environment: {
        ...map.environment,
        HOLDFAST_STORE: `s3://${vault.bucket.bucketName}/`,
        HOLDFAST_SOURCE_STORE: `s3://${installation.vaultName(installation.primaryRegion)}/?region=${installation.primaryRegion}`,
      },
      resources: { 's3:GetObjectRetention': [vault.bucket.arnForObjects('*')] },
      roleName: (handler) => installation.pullRole(handler),
    });
    for (const { handlers } of workflows) {
      for (const { entry, pulls } of Object.values(handlers)) {
        if (pulls) grantSource(fleet.handlers.get(entry)!, installation, sourceKeyArn);
      }
    }
    const schedules = new Schedules(this, 'Schedules', {
      groupName: installation.name,
      key: notifications.key,
      runs: [{ name: 'air-gap', cron, workflow: fleet.workflows['air-gap']! }],
      workflows: [],
    });
    new Alarms(this, 'Alarms', {
      topic: notifications.topic,
      workflows: fleet.workflows,
      queues: { schedules: schedules.missed },
    });
    new Parameters(this, 'Parameters', installation, { 'air-gapped-vault-name': vault.bucket.bucketName });
  }
}

/** The other half of what the bucket of the main account allows: to read there, and nothing else. */
function grantSource({ function: grantee }: Handler, installation: Installation, keyArn: string): void {
  const bucket = `arn:${Aws.PARTITION}:s3:::${installation.vaultName(installation.primaryRegion)}`;
  const allow = (action: string, resource: string) =>
    grantee.addToRolePolicy(new PolicyStatement({ actions: [action], resources: [resource] }));
  allow('s3:GetObject', `${bucket}/*`);
  allow('s3:ListBucket', bucket);
  allow('kms:Decrypt', keyArn);
}
