/** What the steps of workflows are given on one machine. */
import { readFile } from 'node:fs/promises';
import { parseMap } from '../../core/datamap/parse.ts';
import { parseSettings } from '../../core/datamap/settings.ts';
import { silentProgress } from '../../core/ports.ts';
import { absent, type TaskContext } from '../../functions/task.ts';
import { openFileSource } from '../fileSets.ts';
import type { GlobalOptions } from '../report.ts';
import { contextOf, located } from '../runtime.ts';
import { localReplicas } from './replicas.ts';

/** Read anew for each step, so that an edit of holdfast.yaml or a new key counts from the next one on. */
export async function taskContext(options: GlobalOptions): Promise<Omit<TaskContext, 'remaining'>> {
  const configuration = await readFile(options.config, 'utf8');
  const settings = located(parseSettings(configuration, options.config), options.config);
  const context = await contextOf({ ...options, quiet: true }, 'database');
  return {
    ...context,
    map: parseMap(configuration, options.config),
    progress: silentProgress,
    settings,
    configuration,
    replicas: localReplicas(settings, context),
    snapshots: absent('database service', 'a deployment on AWS'),
    snapshotDays: 0,
    source: absent('store to pull from', 'an air-gapped account'),
    trust: context.keys,
    files: { open: openFileSource },
  };
}
