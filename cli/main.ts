/** `holdfast`: works straight on storage and keys, so that it still works when every service is gone. */
import { Command } from 'commander';
import { commands } from './commands/index.ts';

const program = new Command('holdfast')
  .description('Backup, time travel and exact per-tenant restore for multi-tenant PostgreSQL')
  .version('0.1.0')
  .option('-c, --config <file>', 'the data map', process.env.HOLDFAST_CONFIG ?? 'holdfast.yaml')
  .option('--database-url <url>', 'default: $HOLDFAST_DATABASE_URL; keep the password in PGPASSWORD or ~/.pgpass')
  .option('--json', 'print one JSON object', false)
  .option('-q, --quiet', 'no progress', false)
  .showHelpAfterError('Run with --help to see what is expected.')
  // Global options are accepted after the command as well: `holdfast list --json`.
  .enablePositionalOptions(false)
  .exitOverride((error) => process.exit(error.exitCode === 0 ? 0 : 2));

for (const register of commands) register(program);
await program.parseAsync();
