/** What the suite and the processes that it kills share: one directory, one database, the local engine over both. */
import { join } from 'node:path';
import { DirectoryFiles } from '../../../adapters/local/directoryFiles.ts';
import { DirectoryStore } from '../../../adapters/local/directoryStore.ts';
import { LocalWorkflows, type LocalWorkflowsProps } from '../../../adapters/local/workflows.ts';
import type { TaskCall } from '../../../adapters/local/workflowTasks.ts';
import { formatMap } from '../../../core/datamap/format.ts';
import { parseSettings } from '../../../core/datamap/settings.ts';
import { approveRequest } from '../../../core/restore/requests/decide.ts';
import type { TaskContext } from '../../../functions/task.ts';
import { SnapshotService } from '../../../test/support/aws/snapshotService.ts';
import { openContext } from '../crash/world.ts';

export type WorkflowContext = Omit<TaskContext, 'remaining'> & { readonly databaseUrl: string };

/** The folder of users' files. */
export const uploadsIn = (directory: string): string => join(directory, 'uploads');

/** The air-gapped workflow writes into another store than the others. */
export async function openTaskContext(
  directory: string,
  databaseUrl: string,
  workflow: string,
): Promise<WorkflowContext> {
  const ctx = await openContext(directory, databaseUrl);
  // The newest alone is kept, so that a cleanup has something to remove.
  const configuration = `${formatMap(ctx.map)}retention: {daily: 1, weekly: 0, monthly: 0, trail: P90D}
files:
  recordings: {from: ${uploadsIn(directory)}, table: public.voice_notes, column: storage_key}\n`;
  return {
    ...ctx,
    ...(workflow === 'air-gap' ? { store: DirectoryStore.open(join(directory, 'vault')) } : {}),
    configuration,
    settings: parseSettings(configuration),
    replicas: { state: async () => 'none' },
    snapshots: new SnapshotService(),
    snapshotDays: 7,
    source: ctx.store,
    trust: ctx.keys,
    files: { open: async (from) => DirectoryFiles.open(from, { settleMs: 0 }) },
  };
}

export function openEngine(
  directory: string,
  ctx: WorkflowContext,
  around: (call: TaskCall) => Promise<unknown>,
): Promise<LocalWorkflows> {
  const { services } = ctx.snapshots as SnapshotService;
  const props: LocalWorkflowsProps = {
    directory: join(directory, 'executions'),
    context: async () => ctx,
    notifier: { publish: async () => {} },
    pause: 1,
    atOnce: 3,
    services,
    values: { database: 'app', databaseKind: 'cluster' },
    around: async (call) => {
      // Somebody approves while the workflow waits.
      if (call.state === 'Look') await approve(ctx, (call.input as { request: { id: string } }).request.id);
      return around(call);
    },
  };
  return LocalWorkflows.open(props);
}

const approve = (ctx: WorkflowContext, id: string): Promise<unknown> =>
  approveRequest(ctx, { id, by: 'bob' }).catch(() => {}); // it was, before the process was killed
