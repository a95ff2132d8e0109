import type { ServiceSnapshot, ServiceSnapshots, SnapshotKind } from '../../../core/ports.ts';

/** The part of RDS that these workflows call, in two regions, with its errors. A snapshot is being made until it was looked at once. */
export class SnapshotService implements ServiceSnapshots {
  readonly snapshots: (ServiceSnapshot & { readonly database: string })[] = [];
  /** What becomes of snapshots that are being made. */
  outcome: 'available' | 'failed' = 'available';
  otherRegion = true;

  async copy(_kind: SnapshotKind, id: string, source: string): Promise<string> {
    if (!this.otherRegion) return 'none';
    if (!source.startsWith('arn:')) throw new Error('InvalidParameterValue');
    const known = this.#find(id, 'eu-west-1');
    if (!known) this.#add(id, 'eu-west-1', this.#find(id, 'eu-central-1')!.database);
    return this.#look(id, 'eu-west-1');
  }

  async list(_kind: SnapshotKind, database: string): Promise<ServiceSnapshot[]> {
    return this.snapshots.filter((snapshot) => snapshot.database === database);
  }

  async remove(_kind: SnapshotKind, { id, region }: ServiceSnapshot): Promise<void> {
    const at = this.snapshots.findIndex((s) => s.id === id && s.region === region);
    if (at >= 0) this.snapshots.splice(at, 1);
  }

  /** As definitions call it. */
  readonly services = Object.fromEntries(
    (['Cluster', ''] as const).flatMap((kind) => {
      const name = kind === '' ? 'DbSnapshot' : 'DbClusterSnapshot';
      const api = `arn:aws:states:::aws-sdk:rds:`;
      return [
        [
          `${api}createDB${kind}Snapshot`,
          async (input: unknown) => {
            const { [`${name}Identifier`]: id = '', [`Db${kind || 'Instance'}Identifier`]: database = '' } =
              input as Record<string, string>;
            if (this.#find(id, 'eu-central-1')) {
              throw Object.assign(new Error(`${id} exists`), { name: `Rds.${name}AlreadyExistsException` });
            }
            this.#add(id, 'eu-central-1', database);
            return {};
          },
        ],
        [
          `${api}describeDB${kind}Snapshots`,
          async (input: unknown) => {
            const id = (input as Record<string, string>)[`${name}Identifier`]!;
            const arn = `arn:aws:rds:eu-central-1:111122223333:snapshot:${id}`;
            return { [`${name}s`]: [{ Status: this.#look(id, 'eu-central-1'), [`${name}Arn`]: arn }] };
          },
        ],
      ];
    }),
  );

  #find(id: string, region: string): (typeof this.snapshots)[number] | undefined {
    return this.snapshots.find((s) => s.id === id && s.region === region);
  }

  #add(id: string, region: string, database: string): void {
    this.snapshots.push({ id, region, database, status: 'creating', createdAt: new Date().toISOString() });
  }

  /** What it was until now; from the next look on it is ready. */
  #look(id: string, region: string): string {
    const at = this.snapshots.findIndex((s) => s.id === id && s.region === region);
    const { status } = this.snapshots[at]!;
    this.snapshots[at] = { ...this.snapshots[at]!, status: this.outcome };
    return status;
  }
}
