/** Holdfast in a CDK app of one's own: one stack beside those that the app has. */
import { Stack, type StackProps } from 'aws-cdk-lib';
import type { Construct } from 'constructs';
import { Notifications } from 'holdfast/lib/constructs/notifications.ts';
import { PersonKeyTable } from 'holdfast/lib/constructs/personKeyTable.ts';
import { RootKeys } from 'holdfast/lib/constructs/rootKeys.ts';
import { TenantBackup, type TenantBackupProps } from 'holdfast/lib/constructs/tenantBackup.ts';
import { Vault } from 'holdfast/lib/constructs/vault.ts';

export interface ProtectionProps extends StackProps, Pick<TenantBackupProps, 'database' | 'map'> {}

export class Protection extends Stack {
  constructor(scope: Construct, id: string, { database, map, ...props }: ProtectionProps) {
    super(scope, id, { ...props, terminationProtection: true });
    const keys = new RootKeys(this, 'Keys');
    const persons = new PersonKeyTable(this, 'Persons', { tableName: 'shop-person-keys' });
    const vault = new Vault(this, 'Vault', {
      bucketName: `shop-backups-${this.account}`,
      lock: { mode: 'governance', days: 7 },
    });
    const notifications = new Notifications(this, 'Operators', {
      topicName: 'shop',
      emails: ['operators@shop.example'],
    });
    new TenantBackup(this, 'Backup', {
      name: 'shop',
      map,
      database,
      vault,
      keys: { wrapping: keys.wrapping.keyArn, signing: keys.signing.keyArn },
      personKeyTable: persons.tableName,
      notifications,
    });
  }
}
