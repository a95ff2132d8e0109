import { handle, type Register } from '../command.ts';
import type { ServeOptions } from '../service/serve.ts';

export const serveCommand: Register = (program) => {
  const command = program
    .command('serve')
    .summary('the local service: runs schedules and workflows, and stays up')
    .description(
      'Runs the schedules of holdfast.yaml and those made with "holdfast schedules", and the workflows that they start. Without ' +
        '--database-url it works on an embedded PostgreSQL that it keeps in --data. SIGTERM or Ctrl-C stops it; what was running goes on ' +
        'when it starts again.',
    )
    .option('--data <directory>', 'where it keeps what must survive a restart', './holdfast-data')
    .option('--port <n>', 'of http://127.0.0.1:<n>/health, /schedules and /executions; 0 for any that is free', '7430')
    .option('--concurrency <n>', 'scheduled runs at once', '2')
    .option('--sample', 'make the sample application in the embedded database, where there is none yet', false);
  // Loaded when asked for: the engine of workflows takes longer to load than most commands to run.
  handle<ServeOptions>(command, async (given) => (await import('../service/serve.ts')).serve(given));
};
