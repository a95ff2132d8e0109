/**
 * Every command, in the groups and the order that help shows them. A new one is a new file and a line here. Only the one that is
 * asked for is loaded: all of them together take three times as long to start. A second name stands behind a bar.
 */
import type { Register } from '../command.ts';

type Load = () => Promise<Register>;

export const commands: Readonly<Record<string, Readonly<Record<string, Load>>>> = {
  'Protect a database:': {
    init: async () => (await import('./init.ts')).initCommand,
    install: async () => (await import('./install.ts')).installCommand,
    doctor: async () => (await import('./doctor.ts')).doctorCommand,
  },
  'Back up:': {
    backup: async () => (await import('./backup.ts')).backupCommand,
    synthetic: async () => (await import('./synthetic.ts')).syntheticCommand,
    list: async () => (await import('./list.ts')).listCommand,
    validate: async () => (await import('./validate.ts')).validateCommand,
    cleanup: async () => (await import('./cleanup.ts')).cleanupCommand,
    hold: async () => (await import('./hold.ts')).holdCommand,
    files: async () => (await import('./files.ts')).filesCommand,
  },
  'By the clock:': {
    schedules: async () => (await import('./schedules.ts')).schedulesCommand,
    serve: async () => (await import('./serve.ts')).serveCommand,
  },
  'Keep copies:': {
    locations: async () => (await import('./locations.ts')).locationsCommand,
    replicate: async () => (await import('./replicate.ts')).replicateCommand,
    media: async () => (await import('./media.ts')).mediaCommand,
  },
  'Look back:': {
    history: async () => (await import('./history.ts')).historyCommand,
    'as-of': async () => (await import('./asOf.ts')).asOfCommand,
    diff: async () => (await import('./diff.ts')).diffCommand,
    activity: async () => (await import('./activity.ts')).activityCommand,
    timeline: async () => (await import('./timeline.ts')).timelineCommand,
  },
  'Get things back:': {
    undo: async () => (await import('./undo.ts')).undoCommand,
    'point-in-time-recovery|pitr': async () => (await import('./pointInTimeRecovery.ts')).pointInTimeRecoveryCommand,
    restore: async () => (await import('./restore.ts')).restoreCommand,
    'restore-database': async () => (await import('./restoreDatabase.ts')).restoreDatabaseCommand,
    'restore-point': async () => (await import('./restorePoint.ts')).restorePointCommand,
    restores: async () => (await import('./restores.ts')).restoresCommand,
    maintenance: async () => (await import('./maintenance.ts')).maintenanceCommand,
    transfer: async () => (await import('./transfer.ts')).transferCommand,
    query: async () => (await import('./query.ts')).queryCommand,
  },
  'Housekeeping:': {
    maintain: async () => (await import('./maintain.ts')).maintainCommand,
    audit: async () => (await import('./audit.ts')).auditCommand,
    prune: async () => (await import('./prune.ts')).pruneCommand,
    catalog: async () => (await import('./catalog.ts')).catalogCommand,
    'schema-drift': async () => (await import('./schemaDrift.ts')).schemaDriftCommand,
    uninstall: async () => (await import('./uninstall.ts')).uninstallCommand,
    keys: async () => (await import('./keys.ts')).keysCommand,
  },
};
