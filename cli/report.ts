/** How a command ends: what it prints and the exit code. */
import type { HoldfastError } from '../core/errors.ts';
import { explain } from '../core/explain.ts';
import { interrupted } from './interrupt.ts';
import { printable, red, stderrBold, stderrDim, stderrRed, toJson } from './output.ts';

export interface Report {
  /** The object that `--json` prints on the last line. */
  readonly json: unknown;
  /** The same for a person. */
  readonly text: string;
  /** 0 done; 1 done, but something needs attention (findings, faults). @default 0 */
  readonly exitCode?: 0 | 1;
  /** The command has printed everything itself. @default false */
  readonly silent?: boolean;
}

export interface GlobalOptions {
  readonly config: string;
  readonly databaseUrl?: string;
  /** Read from this location instead of the store; commands that declare it with `readsFrom` take it. */
  readonly location?: string;
  readonly json: boolean;
  readonly quiet: boolean;
}

/** Codes that say that the command was called wrongly: exit code 2, as for an unknown option. */
const USAGE = new Set([
  'HF_USAGE',
  'HF_ARGUMENT_INVALID',
  'HF_CONFIRMATION_NEEDED',
  'HF_DATABASE_URL',
  'HF_TARGET_AMBIGUOUS',
  'HF_TARGET_MISSING',
  'HF_TIME_INVALID',
]);

/** Prints the report; an error becomes one message with its code and what to do, and exit code 1, 2 or 130. */
export async function runAndReport(options: GlobalOptions, work: () => Promise<Report>): Promise<void> {
  try {
    const report = await work();
    if (!report.silent) console.log(options.json ? toJson(report.json) : report.text);
    process.exitCode = report.exitCode ?? 0;
  } catch (error) {
    process.exitCode = showError(error, options.json);
  }
}

/** @returns the exit code */
export function showError(error: unknown, json: boolean): number {
  const stopped = interrupted();
  const known = stopped ?? explain(error);
  if (json) {
    console.log(toJson({ error: known ?? { code: 'HF_UNEXPECTED', message: String(error) } }));
  } else if (known) {
    console.error(errorText(known));
    if (process.env.HOLDFAST_DEBUG) console.error(known.stack, known.cause);
  } else {
    console.error(
      `${stderrRed(stderrBold('HF_UNEXPECTED'))} ${error instanceof Error ? (error.stack ?? error.message) : String(error)}`,
    );
    console.error(
      `${stderrDim('what to do:')} This is a defect of Holdfast; nothing was left half done. Please report it with the lines above.`,
    );
  }
  if (stopped) return 130;
  return known && USAGE.has(known.code) ? 2 : 1;
}

const errorText = ({ code, message, action }: Pick<HoldfastError, 'code' | 'message' | 'action'>): string =>
  `${stderrRed(stderrBold(code))} ${printable(message)}\n${stderrDim('what to do:')} ${action}`;

/** A red line inside a report that is not itself an error: a fault found, a violation previewed. */
export const problem = (code: string, text: string): string => `${red(code)} ${printable(text)}`;
