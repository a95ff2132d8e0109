/** A protected database with everything a task may ask for, and the local engine over it. */
import { join } from 'node:path';
import { DirectoryStore } from '../../adapters/local/directoryStore.ts';
import { LocalWorkflows, type LocalWorkflowsProps } from '../../adapters/local/workflows.ts';
import { formatMap } from '../../core/datamap/format.ts';
import { parseSettings } from '../../core/datamap/settings.ts';
import type { Replicas, ServiceSnapshot, ServiceSnapshots, SnapshotKind } from '../../core/ports.ts';
import type { TaskContext } from '../../functions/task.ts';
import { makeWorld, type World } from '../snapshot/world.ts';

export type TestContext = World['ctx'] & Omit<TaskContext, 'remaining'>;

export interface WorkflowWorld extends Omit<World, 'ctx'> {
  readonly ctx: TestContext;
  /** Subjects that were published. */
  readonly published: string[];
  open(props?: Partial<LocalWorkflowsProps>): Promise<LocalWorkflows>;
}

export const noReplicas: Replicas = { state: async () => 'none' };

export async function makeWorkflowWorld(directory: string, serverUrl?: string): Promise<WorkflowWorld> {
  const world = await makeWorld({ directory, ...(serverUrl ? { serverUrl } : {}) });
  const configuration = formatMap(world.ctx.map);
  const ctx: TestContext = {
    ...world.ctx,
    configuration,
    settings: parseSettings(configuration),
    replicas: noReplicas,
    snapshots: new SnapshotService(),
    snapshotDays: 7,
    source: world.ctx.store,
    trust: world.ctx.keys,
  };
  const published: string[] = [];
  let engines = 0;
  return {
    ...world,
    ctx,
    published,
    open: (props = {}) =>
      LocalWorkflows.open({
        directory: join(directory, `executions-${++engines}`),
        context: async () => ctx,
        notifier: { publish: async (subject) => void published.push(subject) },
        pause: 1,
        ...props,
      }),
  };
}

/** A second, empty store: where an air-gapped account keeps its copy. */
export const emptyVault = (directory: string): DirectoryStore => DirectoryStore.open(join(directory, 'vault'));

/** The part of RDS that these workflows call, in two regions, with its errors. A snapshot is being made until it was looked at once. */
export class SnapshotService implements ServiceSnapshots {
  readonly snapshots: ServiceSnapshot[] = [];
  /** What becomes of snapshots that are being made. */
  outcome: 'available' | 'failed' = 'available';
  otherRegion = true;

  async copy(_kind: SnapshotKind, id: string, source: string): Promise<string> {
    if (!this.otherRegion) return 'none';
    if (!source.startsWith('arn:')) throw new Error('InvalidParameterValue');
    const known = this.#find(id, 'eu-west-1');
    if (!known) this.#add(id, 'eu-west-1');
    return this.#look(id, 'eu-west-1');
  }

  async list(): Promise<ServiceSnapshot[]> {
    return [...this.snapshots];
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
            const id = (input as Record<string, string>)[`${name}Identifier`]!;
            if (this.#find(id, 'eu-central-1')) {
              throw Object.assign(new Error(`${id} exists`), { name: `Rds.${name}AlreadyExistsException` });
            }
            this.#add(id, 'eu-central-1');
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

  #find(id: string, region: string): ServiceSnapshot | undefined {
    return this.snapshots.find((s) => s.id === id && s.region === region);
  }

  #add(id: string, region: string): void {
    this.snapshots.push({ id, region, status: 'creating', createdAt: new Date().toISOString() });
  }

  /** What it was until now; from the next look on it is ready. */
  #look(id: string, region: string): string {
    const at = this.snapshots.findIndex((s) => s.id === id && s.region === region);
    const { status } = this.snapshots[at]!;
    this.snapshots[at] = { ...this.snapshots[at]!, status: this.outcome };
    return status;
  }
}
