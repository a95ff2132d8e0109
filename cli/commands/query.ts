import { createInterface } from 'node:readline/promises';
import { Option } from 'commander';
import { ConfigError, RestoreError } from '../../core/errors.ts';
import { parseMoment } from '../../core/moment.ts';
import { type OpenBackup, openBackup } from '../../core/snapshot/open/openBackup.ts';
import type { QueryResult } from '../../core/snapshot/open/result.ts';
import { positiveInteger } from '../arguments.ts';
import { handle, type Register } from '../command.ts';
import { csvLine } from '../csv.ts';
import { stopOnSignal } from '../interrupt.ts';
import { readsFrom } from '../locations.ts';
import { count, printable, stderrDim, stderrYellow, table } from '../output.ts';
import { type GlobalOptions, type Report, showError } from '../report.ts';
import { contextOf } from '../runtime.ts';
import { scratchMaker } from '../scratchServer.ts';

interface Options extends GlobalOptions {
  tenant?: string;
  at?: string;
  backup?: string;
  engine: 'auto' | 'pglite' | 'scratch';
  server?: string;
  csv: boolean;
  limit: string;
  timeout: string;
}

export const queryCommand: Register = (program) => {
  const command = program
    .command('query [sql]')
    .summary('ask a backup with SQL, at any moment it covers')
    .description(
      'Opens a backup and its log, read only, in a PostgreSQL of its own, and asks it with SQL. Needs only the store and the ' +
        'keys. Without a query it reads one from a pipe, or from you, line by line.',
    )
    .option('-t, --tenant <id>', 'this tenant with the shared tables; default: everything')
    .option('--at <time>', 'default: the latest moment that the store reaches')
    .option('-p, --backup <id>', 'as at the end of this backup')
    .addOption(
      new Option('--engine <engine>', 'where it is opened')
        .choices(['auto', 'pglite', 'scratch'])
        .default('auto', 'pglite, in this process; scratch for what is too big for it'),
    )
    .option(
      '--server <url>',
      'scratch: a database of the server to use; default: one is started for the time of the query',
    )
    .option('--csv', 'every row as CSV', false)
    .option('--limit <n>', 'rows to show at most; CSV has no limit of its own', '1000')
    .option('--timeout <seconds>', 'for one query', '60');
  handle<Options>(readsFrom(command), async (options, sql?: string) => {
    const query = sql ?? (process.stdin.isTTY ? undefined : await piped());
    if (query === undefined && options.json) {
      throw new ConfigError('HF_ARGUMENT_INVALID', '--json needs a query.', { action: 'Pass it as an argument.' });
    }
    const limit = positiveInteger(options.limit, '--limit');
    const timeout = positiveInteger(options.timeout, '--timeout') * 1000;
    const context = await contextOf(options, 'store');
    stopOnSignal('Nothing was changed: a backup is only read.');
    const opened = await openBackup(context, {
      tenant: options.tenant ?? null,
      ...(options.at ? { moment: parseMoment(options.at) } : {}),
      ...(options.backup ? { backup: options.backup } : {}),
      engine: options.engine,
      scratch: scratchMaker(options.server),
    });
    try {
      if (query === undefined) return await shell(opened, { limit, timeout });
      const result = await opened.query(query, { timeout });
      if (options.csv)
        return await csv(opened, result, command.getOptionValueSource('limit') === 'cli' ? limit : undefined);
      return await shown(opened, result, limit);
    } finally {
      await opened.close();
    }
  });
};

async function piped(): Promise<string> {
  const pieces: Buffer[] = [];
  for await (const piece of process.stdin) pieces.push(piece as Buffer);
  return Buffer.concat(pieces).toString('utf8');
}

/** Rows up to the limit, and whether there are more. */
async function take(result: QueryResult, limit: number) {
  const rows: (readonly (string | null)[])[] = [];
  for await (const row of result.rows) {
    if (rows.length === limit) return { rows, truncated: true };
    rows.push(row);
  }
  return { rows, truncated: false };
}

async function shown(opened: OpenBackup, result: QueryResult, limit: number): Promise<Report> {
  const { rows, truncated } = await take(result, limit);
  const { moment, backups, engine, loaded, erased, notes } = opened;
  return {
    json: { moment, backups, engine, loaded, erased, notes, columns: result.columns, rows, truncated },
    text: [
      asTable(result, rows),
      stderrDim(
        `${count(rows.length, 'row')}${truncated ? `, and more: pass --limit or --csv` : ''}; as of ${moment}, from ${count(backups.length, 'backup')}, in ${engine}`,
      ),
      ...(erased ? [`${count(erased, 'row')} of erased persons stayed out.`] : []),
      ...notes.map((note) => stderrYellow(`note: ${note}`)),
    ].join('\n'),
  };
}

/** Numbers to the right, as psql has them; a null is told apart from a text by being empty and dim. */
function asTable({ columns }: QueryResult, rows: readonly (readonly (string | null)[])[]): string {
  const numeric = columns.map((c) => /^(smallint|integer|bigint|numeric|real|double precision|money|oid)/.test(c.type));
  const width = columns.map((_, i) => Math.max(0, ...rows.map((row) => printable(row[i] ?? null).length)));
  return table(
    columns.map((c) => c.name),
    rows.map((row) =>
      row.map((value, i) =>
        numeric[i] && value !== null ? value.padStart(Math.max(width[i]!, columns[i]!.name.length)) : value,
      ),
    ),
  );
}

/** Streams, so that memory does not grow with the result. */
async function csv(opened: OpenBackup, result: QueryResult, limit: number | undefined): Promise<Report> {
  const write = (line: string) =>
    new Promise<void>((done, fail) => process.stdout.write(line, (error) => (error ? fail(error) : done())));
  let lines = [csvLine(result.columns.map((c) => c.name))];
  let left = limit ?? Number.POSITIVE_INFINITY;
  for await (const row of result.rows) {
    if (left-- <= 0) break;
    lines.push(csvLine(row));
    if (lines.length < 1000) continue;
    await write(lines.join(''));
    lines = [];
  }
  await write(lines.join(''));
  for (const note of opened.notes) console.error(stderrYellow(`note: ${note}`));
  return { json: undefined, text: '', silent: true };
}

/** One statement after the other, each ended by a semicolon; an error ends the statement, not the session. */
async function shell(opened: OpenBackup, limits: { limit: number; timeout: number }): Promise<Report> {
  console.error(
    stderrDim(`As of ${opened.moment}, read only, in ${opened.engine}. End a query with ";", and leave with \\q.`),
  );
  for (const note of opened.notes) console.error(stderrYellow(`note: ${note}`));
  const lines = createInterface({ input: process.stdin, output: process.stdout, prompt: 'holdfast=> ' });
  let text = '';
  lines.prompt();
  for await (const line of lines) {
    if (/^\s*(\\q|exit|quit)\s*;?\s*$/.test(line)) break;
    text += `${line}\n`;
    if (/;\s*$/.test(text)) {
      try {
        const result = await opened.query(text, limits);
        const { rows, truncated } = await take(result, limits.limit);
        console.log(
          `${asTable(result, rows)}\n${stderrDim(`${count(rows.length, 'row')}${truncated ? ', and more' : ''}`)}\n`,
        );
      } catch (error) {
        if (!(error instanceof RestoreError)) throw error;
        showError(error, false);
      }
      text = '';
    }
    lines.setPrompt(text.trim() === '' ? 'holdfast=> ' : 'holdfast-> ');
    lines.prompt();
  }
  lines.close();
  return { json: undefined, text: '', silent: true };
}
