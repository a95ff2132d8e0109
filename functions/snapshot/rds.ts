/** The database service's snapshots, as this function's environment names them: the other region, its key, how long they stay. */
import { RdsSnapshots } from '../../adapters/aws/rdsSnapshots.ts';
import type { TaskContext } from '../task.ts';

export function rds({ env } = process): Pick<TaskContext, 'snapshots' | 'snapshotDays'> {
  return {
    snapshots: new RdsSnapshots({ region: env.HOLDFAST_SECONDARY_REGION, key: env.HOLDFAST_SECONDARY_KEY }),
    snapshotDays: Number(env.HOLDFAST_SNAPSHOT_DAYS ?? 7),
  };
}
