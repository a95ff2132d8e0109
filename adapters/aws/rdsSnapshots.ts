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

/** As the workflow calls them. A person's own `holdfast-before-the-upgrade`, or the last one of a stack that went, is none of them. */
const OURS = /^holdfast-[0-9a-f]{40}$/;

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

  async list(kind: SnapshotKind, database: string): Promise<ServiceSnapshot[]> {
    const clients = [this.#here, ...(this.#there ? [this.#there] : [])];
    const all = (await Promise.all(clients.map((client) => describe(client, kind)))).flat();
    // RDS keeps identifiers in lower case. Another installation in this account has the same names, for another database.
    return all.filter((snapshot) => snapshot.database === database.toLowerCase());
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

interface Described extends ServiceSnapshot {
  /** Identifier of the cluster or instance that it is of, also where it was copied to. */
  readonly database: string | undefined;
}

async function describe(client: RDSClient, kind: SnapshotKind): Promise<Described[]> {
  const region = await client.config.region();
  const found: Described[] = [];
  let Marker: string | undefined;
  const add = (
    id: string | undefined,
    database: string | undefined,
    at: Date | undefined,
    status: string | undefined,
  ) => {
    if (id === undefined || !OURS.test(id)) return;
    found.push({ region, id, database, status: status ?? 'unknown', ...(at ? { createdAt: at.toISOString() } : {}) });
  };
  do {
    const input = { SnapshotType: 'manual', ...(Marker === undefined ? {} : { Marker }) };
    if (kind === 'cluster') {
      const page = await client.send(new DescribeDBClusterSnapshotsCommand(input));
      for (const s of page.DBClusterSnapshots ?? []) {
        add(s.DBClusterSnapshotIdentifier, s.DBClusterIdentifier, s.SnapshotCreateTime, s.Status);
      }
      Marker = page.Marker;
    } else {
      const page = await client.send(new DescribeDBSnapshotsCommand(input));
      for (const s of page.DBSnapshots ?? []) {
        add(s.DBSnapshotIdentifier, s.DBInstanceIdentifier, s.SnapshotCreateTime, s.Status);
      }
      Marker = page.Marker;
    }
  } while (Marker);
  return found;
}
