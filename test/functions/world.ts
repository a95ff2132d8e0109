/** A protected database with everything a task may ask for, and the local engine over it. */
import { mkdir, writeFile } from 'node:fs/promises';
import { dirname, join } from 'node:path';
import { DirectoryFiles } from '../../adapters/local/directoryFiles.ts';
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
  /** The folder of users' files; empty at first. */
  readonly uploads: string;
  /** Subjects that were published. */
  readonly published: string[];
  open(props?: Partial<LocalWorkflowsProps>): Promise<LocalWorkflows>;
}

const noReplicas: Replicas = { state: async () => 'none' };

export async function makeWorkflowWorld(directory: string, serverUrl?: string): Promise<WorkflowWorld> {
  const world = await makeWorld({ directory, ...(serverUrl ? { serverUrl } : {}) });
  const uploads = join(directory, 'uploads');
  const configuration = `${formatMap(world.ctx.map)}files:
  recordings: {from: ${uploads}, table: public.voice_notes, column: storage_key}\n`;
  await mkdir(uploads);
  const ctx: TestContext = {
    ...world.ctx,
    configuration,
    settings: parseSettings(configuration),
    replicas: noReplicas,
    snapshots: new SnapshotService(),
    snapshotDays: 7,
    source: world.ctx.store,
    trust: world.ctx.keys,
    files: { open: async (from) => DirectoryFiles.open(from, { settleMs: 0 }) },
  };
  const published: string[] = [];
  let engines = 0;
  return {
    ...world,
    ctx,
    uploads,
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

/** Every voice note that a row names, in the folder of users' files. @returns paths with their tenants */
export async function putNotes({ client, uploads }: WorkflowWorld): Promise<{ path: string; tenant: string }[]> {
  const { rows } = await client.query<{ path: string; tenant: string }>(
    `select n.storage_key as path, e.organization_id::text as tenant
       from public.voice_notes n join public.journal_entries e on e.id = n.entry_id order by 2, 1`,
  );
  for (const { path } of rows) {
    await mkdir(dirname(join(uploads, path)), { recursive: true });
    await writeFile(join(uploads, path), `sound of ${path}`);
  }
  return rows;
}
