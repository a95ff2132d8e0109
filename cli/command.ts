/** The one way to add a command: declare it, return a report. */
import type { Command } from 'commander';
import { type GlobalOptions, type Report, runAndReport } from './report.ts';

export type Register = (program: Command) => void;

/** Wires a handler to a declared command; the handler gets its arguments, its options and the global ones. */
export function handle<Options>(
  command: Command,
  handler: (options: Options & GlobalOptions, ...args: string[]) => Promise<Report>,
): void {
  command.action(async (...received: unknown[]) => {
    const args = received.slice(0, -2) as string[];
    const given = command.optsWithGlobals() as Options & Partial<GlobalOptions>;
    const options = { ...given, json: given.json ?? false, quiet: given.quiet ?? false } as Options & GlobalOptions;
    await runAndReport(options, () => handler(options, ...args));
  });
}
