/** A protected database with everything a task may ask for, and the local engine over it. */
import { join } from 'node:path';
import { DirectoryStore } from '../../adapters/local/directoryStore.ts';
import { LocalWorkflows, type LocalWorkflowsProps } from '../../adapters/local/workflows.ts';
import { formatMap } from '../../core/datamap/format.ts';
import { parseSettings } from '../../core/datamap/settings.ts';
import type { Replicas } from '../../core/ports.ts';
import type { TaskContext } from '../../functions/task.ts';
import { makeWorld, type World } from '../snapshot/world.ts';
import { SnapshotService } from '../support/aws/snapshotService.ts';

export type TestContext = World['ctx'] & Omit<TaskContext, 'remaining'>;

export interface WorkflowWorld extends Omit<World, 'ctx'> {
  readonly ctx: TestContext;
  /** Subjects that were published. */
  readonly published: string[];
  open(props?: Partial<LocalWorkflowsProps>): Promise<LocalWorkflows>;
}

const noReplicas: Replicas = { state: async () => 'none' };

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
