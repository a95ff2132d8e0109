import { Annotations, type App } from 'aws-cdk-lib';
import { type CloudSetting, type CloudSettings, cloudSettings } from './cloudSettings.ts';
import type { NetworkIds, ProtectedDatabase } from './constructs/database.ts';
import type { VaultLock } from './constructs/vault.ts';
import { Installation } from './installation.ts';
import { readMapFile } from './mapFile.ts';
import { AirGappedStack } from './stacks/airGappedStack.ts';
import { ExampleDatabaseStack } from './stacks/exampleDatabaseStack.ts';
import { KeyStack } from './stacks/keyStack.ts';
import { PrimaryStack } from './stacks/primaryStack.ts';
import { SecondaryStack } from './stacks/secondaryStack.ts';
import { SynthError } from './synthError.ts';
import { vaultTerms } from './vaultTerms.ts';

/**
 * Adds the stacks of an installation to `app`, in the order in which they are deployed. One that needs what an earlier one printed is
 * left out until it is told, and a note says so.
 *
 * @throws SynthError for settings that cannot be; ConfigError HF_MAP_INVALID, HF_SCHEDULE_INVALID, HF_CRON_INVALID for holdfast.yaml
 */
export function addStacks(app: App, settings = cloudSettings(app.node.getAllContext())): void {
  const installation = new Installation({
    name: settings.get('name') ?? 'holdfast',
    account: settings.need('account'),
    primaryRegion: settings.need('primaryRegion'),
    ...optional(settings, 'secondaryRegion'),
  });
  const { name, account, primaryRegion, secondaryRegion } = installation;
  const primary = { account, region: primaryRegion };
  const map = settings.path('map');
  const lockDays = settings.get('lockDays');
  const terms = vaultTerms(
    readMapFile(map).retention,
    (settings.get('lockMode') ?? 'governance') as VaultLock['mode'],
    lockDays === undefined ? undefined : Number(lockDays),
  );
  const emails = settings.list('emails');
  const ready = (stack: string, ...needs: CloudSetting[]): boolean => {
    const missing = needs.filter((need) => settings.get(need) === undefined).map((need) => `holdfast:${need}`);
    if (missing.length === 0) return true;
    Annotations.of(app).addInfo(`The stack ${name}-${stack} comes when ${missing.join(', ')} are set.`);
    return false;
  };

  new KeyStack(app, `${name}-keys`, {
    installation,
    rootKeys: {
      wrappingNumber: Number(settings.get('wrappingKeyNumber') ?? 1),
      signingNumber: Number(settings.get('signingKeyNumber') ?? 1),
    },
    env: primary,
  });
  if (settings.get('exampleDatabase') === 'yes') {
    new ExampleDatabaseStack(app, `${name}-example-database`, { installation, env: primary });
  }
  if (secondaryRegion !== undefined && ready('secondary', 'wrappingKeyArn', 'signingKeyArn')) {
    new SecondaryStack(app, `${name}-secondary`, {
      installation,
      wrappingKeyArn: keyIn(settings, 'wrappingKeyArn', account, primaryRegion),
      signingKeyArn: keyIn(settings, 'signingKeyArn', account, primaryRegion),
      terms,
      map,
      emails,
      env: { account, region: secondaryRegion },
    });
  }
  const needs: CloudSetting[] = ['databaseHost', 'databaseName', 'databaseSecretArn'];
  if (ready('primary', ...needs, ...(secondaryRegion === undefined ? [] : ['secondaryVaultKeyArn' as const]))) {
    const network = networkOf(settings);
    new PrimaryStack(app, `${name}-primary`, {
      installation,
      database: databaseOf(settings),
      map,
      terms,
      emails,
      filesKeyArns: settings.list('filesKeyArns'),
      ...(network ? { network } : {}),
      ...(settings.get('databaseCa') ? { databaseCa: settings.path('databaseCa') } : {}),
      ...(secondaryRegion === undefined
        ? {}
        : { secondaryVaultKeyArn: keyIn(settings, 'secondaryVaultKeyArn', account, secondaryRegion) }),
      ...optional(settings, 'airGappedAccount'),
      env: primary,
    });
  }
  if (settings.get('airGappedAccount') && ready('air-gapped', 'vaultKeyArn', 'publicKeys')) {
    const airGapped = settings.need('airGappedAccount');
    new AirGappedStack(app, `${name}-air-gapped`, {
      installation,
      account: airGapped,
      sourceKeyArn: keyIn(settings, 'vaultKeyArn', account, primaryRegion),
      map,
      publicKeys: settings.path('publicKeys'),
      emails,
      env: { account: airGapped, region: settings.get('airGappedRegion') ?? secondaryRegion ?? primaryRegion },
    });
  }
}

/** A key that another stack printed, which must be one of this installation: those of an example, or of a trial, end up here too. */
function keyIn(settings: CloudSettings, name: CloudSetting, account: string, region: string): string {
  const arn = settings.need(name);
  const [, , , keyRegion, keyAccount] = arn.split(':');
  if (keyRegion === region && keyAccount === account) return arn;
  throw new SynthError(`holdfast:${name}`, `a key in ${region} of account ${account}`, arn);
}

function databaseOf(settings: CloudSettings): Omit<ProtectedDatabase, 'network'> {
  const [instance, cluster] = [settings.get('databaseInstance'), settings.get('databaseCluster')];
  if (instance && cluster) {
    throw new SynthError('holdfast:databaseInstance', 'it or holdfast:databaseCluster, not both', {
      instance,
      cluster,
    });
  }
  const identifier = cluster ?? instance;
  return {
    host: settings.need('databaseHost'),
    port: Number(settings.get('databasePort') ?? 5432),
    name: settings.need('databaseName'),
    secretArn: settings.need('databaseSecretArn'),
    ...(settings.get('databaseSecretKeyArn') ? { secretKeyArn: settings.need('databaseSecretKeyArn') } : {}),
    ...(identifier ? { snapshots: { kind: cluster ? 'cluster' : 'instance', identifier, ...keyOf(settings) } } : {}),
  };
}

const keyOf = (settings: CloudSettings): { keyArn?: string } => {
  const keyArn = settings.get('databaseStorageKeyArn');
  return keyArn === undefined ? {} : { keyArn };
};

function networkOf(settings: CloudSettings): NetworkIds | undefined {
  const vpcId = settings.get('vpcId');
  if (vpcId === undefined) return undefined;
  return {
    vpcId,
    availabilityZones: settings.list('availabilityZones'),
    subnetIds: settings.list('subnetIds'),
    securityGroupIds: settings.list('securityGroupIds'),
  };
}

/** `{name: value}` when it is set; a key that is there but undefined is another thing to the compiler. */
function optional<K extends CloudSetting>(settings: CloudSettings, name: K): { [name in K]?: string } {
  const value = settings.get(name);
  return (value === undefined ? {} : { [name]: value }) as { [name in K]?: string };
}
