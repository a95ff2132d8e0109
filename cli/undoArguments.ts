/** What `undo` is asked for, out of its arguments and options. */
import { readFile } from 'node:fs/promises';
import { ConfigError } from '../core/errors.ts';
import { formatMoment, parseMoment } from '../core/moment.ts';
import type { Choice, Take, To, UndoScope } from '../core/restore/undo/types.ts';
import { nameList } from './nameList.ts';
import { keyOf } from './requestArguments.ts';

export interface ScopeOptions {
  readonly session?: string;
  readonly user?: string;
  readonly since?: string;
  readonly transactions?: string;
  readonly record?: readonly string[];
  readonly columns?: string;
  readonly tables?: string;
  readonly to?: string;
  readonly point?: string;
}

/**
 * @param table first argument; @param key the rest, one value for each column of the key
 * @throws ConfigError HF_TARGET_MISSING, HF_TARGET_AMBIGUOUS, HF_ARGUMENT_INVALID, HF_TIME_INVALID
 */
export function scopeOf(options: ScopeOptions, table: string | undefined, key: readonly string[]): UndoScope {
  const { session, user, transactions, columns, record } = options;
  const named = [session && '--session', user && '--user', transactions && '--transactions', table && 'a table'];
  const given = named.filter((name) => name);
  if (given.length > 1) throw ambiguous(given.join(' and '));
  const moment = [options.to && '--to', options.since && '--since', options.point && '--point'].filter((name) => name);
  if (moment.length > 1) throw ambiguous(moment.join(' and '));
  const limited = options.tables === undefined ? {} : { tables: nameList(options.tables) };
  if (session !== undefined) return { kind: 'session', session, ...limited };
  if (transactions !== undefined) return { kind: 'transactions', transactions: nameList(transactions), ...limited };
  const to = moment.length > 0 ? toOf(options) : undefined;
  if (user !== undefined) return { kind: 'user', user, since: to ?? missing('--since'), ...limited };
  if (options.tables !== undefined) throw onlyWith('--tables', '--session, --user or --transactions');
  const records = [...(key.length > 0 ? [key] : []), ...(record ?? []).map(keyOf)];
  if (table === undefined) {
    if (records.length > 0) throw onlyWith('--record', 'a table');
    if (columns !== undefined) throw onlyWith('--columns', 'a table and records of it');
    return { kind: 'tenant', to: to ?? missing('--to') };
  }
  if (records.length === 0) {
    if (columns !== undefined) throw onlyWith('--columns', 'records, by key or with --record');
    return { kind: 'table', table, to: to ?? missing('--to') };
  }
  return {
    kind: 'records',
    table,
    records,
    to: to ?? missing('--to'),
    ...(columns === undefined ? {} : { columns: nameList(columns) }),
  };
}

function toOf({ to, since, point }: ScopeOptions): To {
  if (point !== undefined) return { point };
  return { time: formatMoment(parseMoment((to ?? since)!)) };
}

const TAKES: readonly string[] = ['base', 'theirs', 'current'] satisfies Take[];

/** `table.key.column=take`, `table.key=take` for a row; or a file: a JSON array of choices, as `--json` names conflicts. */
export async function choicesOf(texts: readonly string[], file: string | undefined): Promise<Choice[]> {
  return [...(file === undefined ? [] : await choiceFile(file)), ...texts.map(choiceOf)];
}

function choiceOf(text: string): Choice {
  const take = text.slice(text.lastIndexOf('=') + 1);
  const where = text.slice(0, Math.max(0, text.lastIndexOf('=')));
  const parts = /^((?:"[^"]+"|[^".]+)\.(?:"[^"]+"|[^".]+))\.(\[.*\]|"[^"]+"|[^.]+)(?:\.("[^"]+"|[^.]+))?$/.exec(where);
  if (!parts || !TAKES.includes(take)) throw badChoice(text);
  const plain = (part: string) => (part.startsWith('"') ? part.slice(1, -1) : part);
  const [, table, record, column] = parts;
  return {
    table: table!,
    record: plain(record!),
    take: take as Take,
    ...(column === undefined ? {} : { column: plain(column) }),
  };
}

async function choiceFile(file: string): Promise<Choice[]> {
  let choices: unknown;
  try {
    choices = JSON.parse(await readFile(file, 'utf8'));
  } catch (cause) {
    throw new ConfigError('HF_ARGUMENT_INVALID', `${file} cannot be read: ${(cause as Error).message}.`, {
      cause,
      action: 'Pass a file with a JSON array: [{"table", "record", "column", "take"}, …].',
    });
  }
  if (!Array.isArray(choices)) throw badChoice(JSON.stringify(choices));
  for (const choice of choices as Partial<Record<keyof Choice, unknown>>[]) {
    const texts = [choice?.table, choice?.record, choice?.take, choice?.column ?? ''];
    if (!texts.every((t) => typeof t === 'string') || !TAKES.includes(choice.take as string)) {
      throw badChoice(JSON.stringify(choice));
    }
  }
  return choices as Choice[];
}

const badChoice = (got: string) =>
  new ConfigError('HF_ARGUMENT_INVALID', `${got} is not a choice.`, {
    action:
      'Write schema.table.key.column=base, theirs or current (schema.table.key=base for a row); quote parts that have a dot.',
    details: { got },
  });

const ambiguous = (options: string) =>
  new ConfigError('HF_TARGET_AMBIGUOUS', `${options} cannot be given together.`, { action: 'Give one.' });

const onlyWith = (option: string, what: string) =>
  new ConfigError('HF_ARGUMENT_INVALID', `${option} goes with ${what}.`, {
    action: `Add ${what}, or leave ${option} out.`,
  });

function missing(option: string): never {
  throw new ConfigError('HF_TARGET_MISSING', 'Say what to undo, or since when.', {
    action: `Pass --session <id>, or ${option} 2026-03-01T14:05:00Z, or --point <restore point>.`,
  });
}
