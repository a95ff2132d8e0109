/** One line for each thing that happens in the service: words on a terminal, an object a line with --json. */

import { explain } from '../../core/explain.ts';
import type { RunNote } from '../../core/schedules/dispatch.ts';
import type { TickReport } from '../../core/schedules/tick.ts';
import { printable, toJson } from '../output.ts';

export type Say = (event: string, facts: Readonly<Record<string, unknown>>, text: string) => void;

export const sayTo =
  (json: boolean): Say =>
  (event, facts, text) => {
    const at = new Date().toISOString();
    console.log(json ? toJson({ at, event, ...facts }) : `${at.slice(0, 19)}Z  ${text}`);
  };

export function sayTick(say: Say, report: TickReport): void {
  const each = (event: string, runs: readonly RunNote[], words: (run: RunNote) => string) => {
    for (const run of runs) say(event, { ...run, due: new Date(run.due).toISOString() }, words(run));
  };
  if (report.missed > 0) {
    say(
      'schedule.missed',
      { missed: report.missed },
      `${report.missed} scheduled times went by unnoticed; one run of each schedule makes up for them`,
    );
  }
  if (report.skipped > 0)
    say('schedule.skipped', { skipped: report.skipped }, `${report.skipped} skipped: the run before has not ended`);
  each('run.late', report.late, (run) => `${name(run)} is late`);
  each('run.started', report.started, (run) => `${name(run)} begins`);
  each('run.succeeded', report.succeeded, (run) => `${name(run)} is done`);
  each(
    'run.failed',
    report.failed,
    (run) => `${name(run)} failed: ${printable(run.error ? `${run.error.code} ${run.error.message}` : '')}`,
  );
  for (const { schedule, message } of report.faults) {
    say('schedule.fault', { schedule, message }, `${schedule} cannot be planned: ${printable(message)}`);
  }
}

const name = ({ schedule, tenant }: RunNote): string =>
  printable(tenant === null ? schedule : `${schedule} of ${tenant}`);

export function sayError(say: Say, what: string, error: unknown): void {
  const known = explain(error);
  const { code, message } = known ?? { code: 'HF_UNEXPECTED', message: String(error) };
  say('error', { what, code, message }, `${what}: ${code} ${printable(message)}`);
}
