/** `holdfast`: works straight on storage and keys, so that it still works when every service is gone. */
import { readFileSync } from 'node:fs';
import { Command, type CommanderError } from 'commander';
import { commands } from './commands/index.ts';
import { bold, stderrBold, stderrDim, stderrRed, toJson } from './output.ts';
import { warnOfPasswords } from './passwords.ts';

const { version } = JSON.parse(readFileSync(new URL('../package.json', import.meta.url), 'utf8'));

/** Wrong usage ends with exit code 2; `--help` and `--version` with 0. */
function exit(error: CommanderError): never {
  if (error.exitCode !== 0 && process.argv.includes('--json')) {
    const message = error.message.replace(/^error: /, '');
    console.log(toJson({ error: { code: 'HF_USAGE', message, action: 'Run it with --help.', details: {} } }));
  }
  process.exit(error.exitCode === 0 ? 0 : 2);
}

/** The first word that is neither an option of the program nor the value of one. */
function firstOperand({ options }: Command, words: readonly string[]): string | undefined {
  const takesValue = (word: string | undefined) =>
    options.some(({ short, long, required }) => required && word !== undefined && [short, long].includes(word));
  const index = words.findIndex((word, i) => !word.startsWith('-') && !takesValue(words[i - 1]));
  return words[index];
}

const program = new Command('holdfast')
  .description('Backup, time travel and exact per-tenant restore for multi-tenant PostgreSQL.')
  .version(version, '-V, --version', 'print the version')
  .option('-c, --config <file>', 'what to protect', process.env.HOLDFAST_CONFIG ?? 'holdfast.yaml')
  .option('--database-url <url>', 'default: $HOLDFAST_DATABASE_URL; the password belongs in $PGPASSWORD or ~/.pgpass')
  .option('--json', 'print one JSON object, on the last line')
  .option('-q, --quiet', 'no progress bar')
  .helpOption('-h, --help', 'explain a command')
  .helpCommand(false)
  .showHelpAfterError(`${stderrDim('what to do:')} Run it with --help to see what is expected.`)
  .configureOutput({
    outputError: (text, write) => write(text.replace(/^error: /, `${stderrRed(stderrBold('HF_USAGE'))} `)),
  })
  .configureHelp({ styleTitle: bold, showGlobalOptions: true })
  .addHelpText(
    'after',
    '\nExit codes: 0 all is well, 1 something needs attention, 2 wrong usage, 130 stopped on request.',
  )
  // Global options are accepted after the command as well: `holdfast list --json`.
  .enablePositionalOptions(false)
  .exitOverride(exit);

const asked = firstOperand(program, process.argv.slice(2));
const isAsked = (names: string) => asked !== undefined && names.split('|').includes(asked);
const known = Object.values(commands).some((group) => Object.keys(group).some(isAsked));
for (const [title, group] of Object.entries(commands)) {
  program.commandsGroup(title);
  // Help, and a command that there is not, are answered with all of them.
  for (const [names, load] of Object.entries(group)) if (!known || isAsked(names)) (await load())(program);
}
warnOfPasswords(process.argv);
await program.parseAsync();
