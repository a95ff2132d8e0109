import { copyFileSync, existsSync, mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { Code, LayerVersion } from 'aws-cdk-lib/aws-lambda';
import { Construct } from 'constructs';
import { SynthError } from '../synthError.ts';

export interface MapLayerProps {
  /** Path of holdfast.yaml. */
  readonly map: string;
  /** PEM file of the authorities that the database's certificate is checked against. @default those that Lambda knows: Amazon's */
  readonly databaseCa?: string;
  /** File of the public keys that signatures are checked against where there is no key service. @default none */
  readonly publicKeys?: string;
}

/** What functions read from the project's own files, at `/opt`: a change of them is deployed without new code. */
export class MapLayer extends Construct {
  readonly layer: LayerVersion;
  /** Where the functions find it. */
  readonly environment: Readonly<Record<string, string>>;

  /** @throws SynthError when a file is not there */
  constructor(scope: Construct, id: string, { map, databaseCa, publicKeys }: MapLayerProps) {
    super(scope, id);
    const folder = mkdtempSync(join(tmpdir(), 'holdfast-layer-'));
    try {
      copy('map', map, join(folder, 'holdfast.yaml'));
      if (databaseCa) copy('databaseCa', databaseCa, join(folder, 'database-ca.pem'));
      if (publicKeys) copy('publicKeys', publicKeys, join(folder, 'public-keys.pem'));
      // Copied into the cloud assembly before this returns.
      this.layer = new LayerVersion(this, 'Layer', { code: Code.fromAsset(folder), description: 'holdfast.yaml' });
    } finally {
      rmSync(folder, { recursive: true });
    }
    this.environment = {
      HOLDFAST_MAP: '/opt/holdfast.yaml',
      HOLDFAST_DATABASE_CA: databaseCa ? '/opt/database-ca.pem' : '/var/runtime/ca-cert.pem',
      ...(publicKeys ? { HOLDFAST_PUBLIC_KEYS: '/opt/public-keys.pem' } : {}),
    };
  }
}

function copy(prop: string, from: string, to: string): void {
  if (!existsSync(from)) throw new SynthError(prop, 'the path of a file', from);
  copyFileSync(from, to);
}
