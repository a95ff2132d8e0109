/** How a command ends: what it prints and the exit code. */
import { HoldfastError } from '../core/errors.ts';
import { bold, dim, red, toJson } from './output.ts';

export interface Report {
  /** The object that `--json` prints on the last line. */
  readonly json: unknown;
  /** The same for a person. */
  readonly text: string;
  /** 0 done; 1 done, but something needs attention (findings, faults). @default 0 */
  readonly exitCode?: 0 | 1;
}

export interface GlobalOptions {
  readonly config: string;
  readonly databaseUrl?: string;
  readonly json: boolean;
  readonly quiet: boolean;
}

/** Prints the report; an error becomes one message with its code and what to do, and exit code 1. */
export async function runAndReport(options: GlobalOptions, work: () => Promise<Report>): Promise<void> {
  try {
    const report = await work();
    console.log(options.json ? toJson(report.json) : report.text);
    process.exitCode = report.exitCode ?? 0;
  } catch (error) {
    const known = error instanceof HoldfastError ? error : undefined;
    if (options.json) {
      console.log(toJson({ error: known ?? { code: 'HF_UNEXPECTED', message: String(error) } }));
    } else if (known) {
      console.error(`${red(bold(known.code))} ${known.message}\n${dim('what to do:')} ${known.action}`);
      if (process.env.HOLDFAST_DEBUG) console.error(known.stack, known.cause);
    } else {
      console.error(
        `${red(bold('HF_UNEXPECTED'))} ${error instanceof Error ? (error.stack ?? error.message) : String(error)}`,
      );
      console.error(
        `${dim('what to do:')} This is a defect of Holdfast; nothing was left half done. Please report it with the lines above.`,
      );
    }
    process.exitCode = 1;
  }
}
