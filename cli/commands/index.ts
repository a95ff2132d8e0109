/** Every command, in the groups and the order that help shows them. A new one is a new file and a line here. */
import type { Register } from '../command.ts';
import { activityCommand } from './activity.ts';
import { asOfCommand } from './asOf.ts';
import { auditCommand } from './audit.ts';
import { backupCommand } from './backup.ts';
import { catalogCommand } from './catalog.ts';
import { cleanupCommand } from './cleanup.ts';
import { diffCommand } from './diff.ts';
import { doctorCommand } from './doctor.ts';
import { filesCommand } from './files.ts';
import { historyCommand } from './history.ts';
import { holdCommand } from './hold.ts';
import { initCommand } from './init.ts';
import { installCommand } from './install.ts';
import { keysCommand } from './keys.ts';
import { listCommand } from './list.ts';
import { locationsCommand } from './locations.ts';
import { maintainCommand } from './maintain.ts';
import { maintenanceCommand } from './maintenance.ts';
import { mediaCommand } from './media.ts';
import { pointInTimeRecoveryCommand } from './pointInTimeRecovery.ts';
import { pruneCommand } from './prune.ts';
import { queryCommand } from './query.ts';
import { replicateCommand } from './replicate.ts';
import { restoreCommand } from './restore.ts';
import { restoreDatabaseCommand } from './restoreDatabase.ts';
import { restorePointCommand } from './restorePoint.ts';
import { restoresCommand } from './restores.ts';
import { schedulesCommand } from './schedules.ts';
import { schemaDriftCommand } from './schemaDrift.ts';
import { serveCommand } from './serve.ts';
import { syntheticCommand } from './synthetic.ts';
import { timelineCommand } from './timeline.ts';
import { transferCommand } from './transfer.ts';
import { undoCommand } from './undo.ts';
import { uninstallCommand } from './uninstall.ts';
import { validateCommand } from './validate.ts';

export const commands: Readonly<Record<string, readonly Register[]>> = {
  'Protect a database:': [initCommand, installCommand, doctorCommand],
  'Back up:': [
    backupCommand,
    syntheticCommand,
    listCommand,
    validateCommand,
    cleanupCommand,
    holdCommand,
    filesCommand,
  ],
  'By the clock:': [schedulesCommand, serveCommand],
  'Keep copies:': [locationsCommand, replicateCommand, mediaCommand],
  'Look back:': [historyCommand, asOfCommand, diffCommand, activityCommand, timelineCommand],
  'Get things back:': [
    undoCommand,
    pointInTimeRecoveryCommand,
    restoreCommand,
    restoreDatabaseCommand,
    restorePointCommand,
    restoresCommand,
    maintenanceCommand,
    transferCommand,
    queryCommand,
  ],
  'Housekeeping:': [
    maintainCommand,
    auditCommand,
    pruneCommand,
    catalogCommand,
    schemaDriftCommand,
    uninstallCommand,
    keysCommand,
  ],
};
