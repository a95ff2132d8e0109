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

interface Note {
  readonly path: string;
  readonly tenant: string;
}

/** The voice notes that rows name; eight of each tenant stay, which is enough. */
export async function fewNotes({ client }: WorkflowWorld): Promise<Note[]> {
  await client.query(
    `delete from public.voice_notes where id not in (
       select id from (select n.id, row_number() over (partition by e.organization_id order by n.id) as number
                         from public.voice_notes n join public.journal_entries e on e.id = n.entry_id) n where number <= 8)`,
  );
  const { rows } = await client.query<Note>(
    `select n.storage_key as path, e.organization_id::text as tenant
       from public.voice_notes n join public.journal_entries e on e.id = n.entry_id order by 2, 1`,
  );
  return rows;
}

/** The same, in the folder of users' files. */
export async function putNotes(world: WorkflowWorld): Promise<Note[]> {
  const { uploads } = world;
  const rows = await fewNotes(world);
  for (const { path } of rows) {
    await mkdir(dirname(join(uploads, path)), { recursive: true });
    await writeFile(join(uploads, path), `sound of ${path}`);
  }
  return rows;
}
