/** What the commands that look back have in common: when, how many, and in which form. */
import { type Command, Option } from 'commander';
import { ConfigError } from '../../core/errors.ts';
import type { When } from '../../core/history/travel/types.ts';
import { positiveInteger } from '../arguments.ts';
import type { GlobalOptions } from '../report.ts';

export interface OutputOptions extends GlobalOptions {
  readonly limit?: string;
  readonly after?: string;
  readonly csv: boolean;
  readonly jsonl: boolean;
}

/** Rows that a table on a terminal, or the object of `--json`, has by default. */
const PAGE = 100;

export function declareOutput(command: Command): Command {
  return command
    .option('--limit <n>', `at most so many; default: ${PAGE}, and with --csv or --jsonl all of them`)
    .option('--after <place>', 'go on where the page before ended')
    .addOption(new Option('--csv', 'stream comma-separated values with a header').default(false).conflicts('jsonl'))
    .addOption(new Option('--jsonl', 'stream one JSON object per line').default(false));
}

/** @returns the limit to ask with, and whether rows are streamed instead of gathered into a page */
export function outputOf(options: OutputOptions): { streamed: boolean; limit: number | undefined; after?: string } {
  const streamed = options.csv || options.jsonl;
  if (options.json && streamed) {
    throw new ConfigError('HF_ARGUMENT_INVALID', '--json prints one object, --csv and --jsonl a stream.', {
      action: 'Give one of them.',
    });
  }
  const limit = options.limit === undefined ? undefined : positiveInteger(options.limit, '--limit');
  return {
    streamed,
    limit: limit ?? (streamed ? undefined : PAGE),
    ...(options.after ? { after: options.after } : {}),
  };
}

/** One moment out of a time and a restore point, of which at most one is given. */
export function whenOf(
  time: string | undefined,
  point: string | undefined,
  options: readonly [string, string],
): When | undefined {
  if (time !== undefined && point !== undefined) {
    throw new ConfigError('HF_TARGET_AMBIGUOUS', `${options.join(' and ')} both say when.`, {
      action: 'Give one of them.',
    });
  }
  if (point !== undefined) return { restorePoint: point };
  return time === undefined ? undefined : time === 'now' ? 'now' : { moment: time };
}
