/** Snapshots of RDS and Aurora: copied under the other region's key, and removed when their time is over. */
import {
  CopyDBClusterSnapshotCommand,
  CopyDBSnapshotCommand,
  DeleteDBClusterSnapshotCommand,
  DeleteDBSnapshotCommand,
  DescribeDBClusterSnapshotsCommand,
  DescribeDBSnapshotsCommand,
  RDSClient,
  type RDSClientConfig,
} from '@aws-sdk/client-rds';
import type { ServiceSnapshot, ServiceSnapshots, SnapshotKind } from '../../core/ports.ts';

/** Snapshots of this installation, and no other, begin so. */
const PREFIX = 'holdfast-';

export interface RdsSnapshotsProps {
  /** The other region. @default none: nothing is copied */
  readonly region: string | undefined;
  /** ARN of the key there. A snapshot under a key of the region that is lost could not be opened. */
  readonly key: string | undefined;
  readonly config?: RDSClientConfig;
}

export class RdsSnapshots implements ServiceSnapshots {
  readonly #here: RDSClient;
  readonly #there: RDSClient | undefined;
  readonly #key: string | undefined;

  constructor({ region, key, config = {} }: RdsSnapshotsProps) {
    this.#here = new RDSClient({ maxAttempts: 5, ...config });
    this.#there = region && key ? new RDSClient({ maxAttempts: 5, ...config, region }) : undefined;
    this.#key = key;
  }

  async copy(kind: SnapshotKind, id: string, source: string): Promise<string> {
    const client = this.#there;
    if (!client) return 'none';
    const known = (await describe(client, kind)).find((snapshot) => snapshot.id === id);
    if (known) return known.status;
    // With the source's region the SDK signs the request that the other region makes there.
    const SourceRegion = source.split(':')[3];
    const common = { KmsKeyId: this.#key, SourceRegion, CopyTags: true };
    try {
      if (kind === 'cluster') {
        const names = { SourceDBClusterSnapshotIdentifier: source, TargetDBClusterSnapshotIdentifier: id };
        await client.send(new CopyDBClusterSnapshotCommand({ ...common, ...names }));
      } else {
        const names = { SourceDBSnapshotIdentifier: source, TargetDBSnapshotIdentifier: id };
        await client.send(new CopyDBSnapshotCommand({ ...common, ...names }));
      }
    } catch (error) {
      if (!/AlreadyExists/.test((error as Error).name)) throw error; // another attempt has begun it
    }
    return 'copying';
  }

  async list(kind: SnapshotKind): Promise<ServiceSnapshot[]> {
    const clients = [this.#here, ...(this.#there ? [this.#there] : [])];
    return (await Promise.all(clients.map((client) => describe(client, kind)))).flat();
  }

  async remove(kind: SnapshotKind, { region, id }: ServiceSnapshot): Promise<void> {
    const client = this.#there && (await this.#there.config.region()) === region ? this.#there : this.#here;
    try {
      if (kind === 'cluster')
        await client.send(new DeleteDBClusterSnapshotCommand({ DBClusterSnapshotIdentifier: id }));
      else await client.send(new DeleteDBSnapshotCommand({ DBSnapshotIdentifier: id }));
    } catch (error) {
      if (!/NotFound/.test((error as Error).name)) throw error; // it is gone already
    }
  }
}

async function describe(client: RDSClient, kind: SnapshotKind): Promise<ServiceSnapshot[]> {
  const region = await client.config.region();
  const found: ServiceSnapshot[] = [];
  let Marker: string | undefined;
  const add = (id: string | undefined, at: Date | undefined, status: string | undefined) => {
    if (!id?.startsWith(PREFIX)) return;
    found.push({ region, id, status: status ?? 'unknown', ...(at ? { createdAt: at.toISOString() } : {}) });
  };
  do {
    const input = { SnapshotType: 'manual', ...(Marker === undefined ? {} : { Marker }) };
    if (kind === 'cluster') {
      const page = await client.send(new DescribeDBClusterSnapshotsCommand(input));
      for (const s of page.DBClusterSnapshots ?? []) add(s.DBClusterSnapshotIdentifier, s.SnapshotCreateTime, s.Status);
      Marker = page.Marker;
    } else {
      const page = await client.send(new DescribeDBSnapshotsCommand(input));
      for (const s of page.DBSnapshots ?? []) add(s.DBSnapshotIdentifier, s.SnapshotCreateTime, s.Status);
      Marker = page.Marker;
    }
  } while (Marker);
  return found;
}
