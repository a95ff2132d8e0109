/** The part of RDS that the snapshot workflow calls, in two regions, with its errors. A snapshot is ready when it was looked at once. */
import type { ServiceSnapshot, ServiceSnapshots, SnapshotKind } from '../../../core/ports.ts';

export class SnapshotService implements ServiceSnapshots {
  readonly snapshots: ServiceSnapshot[] = [];

  readonly services: Readonly<Record<string, (input: unknown) => Promise<unknown>>> = {
    'arn:aws:states:::aws-sdk:rds:createDBClusterSnapshot': async (input) => {
      const id = identifier(input);
      if (!this.#add(id, 'here')) {
        throw Object.assign(new Error(`${id} exists`), { name: 'Rds.DbClusterSnapshotAlreadyExistsException' });
      }
      return {};
    },
    'arn:aws:states:::aws-sdk:rds:describeDBClusterSnapshots': async (input) => {
      const id = identifier(input);
      const DbClusterSnapshotArn = `arn:aws:rds:here:111122223333:cluster-snapshot:${id}`;
      return { DbClusterSnapshots: [{ Status: this.#look(id, 'here'), DbClusterSnapshotArn }] };
    },
  };

  async copy(_: SnapshotKind, id: string): Promise<string> {
    this.#add(id, 'there');
    return this.#look(id, 'there');
  }

  async list(): Promise<ServiceSnapshot[]> {
    return [...this.snapshots];
  }

  async remove(_: SnapshotKind, { id, region }: ServiceSnapshot): Promise<void> {
    const at = this.#find(id, region);
    if (at >= 0) this.snapshots.splice(at, 1);
  }

  #find(id: string, region: string): number {
    return this.snapshots.findIndex((s) => s.id === id && s.region === region);
  }

  #add(id: string, region: string): boolean {
    if (this.#find(id, region) >= 0) return false;
    this.snapshots.push({ id, region, status: 'creating', createdAt: new Date().toISOString() });
    return true;
  }

  #look(id: string, region: string): string {
    const at = this.#find(id, region);
    const { status } = this.snapshots[at]!;
    this.snapshots[at] = { ...this.snapshots[at]!, status: 'available' };
    return status;
  }
}

const identifier = (input: unknown): string =>
  (input as { DbClusterSnapshotIdentifier: string }).DbClusterSnapshotIdentifier;
