/** Judges what is in the database after a life: by the wall clock of every minute, and by counting. */
import { dueMinutes, wallClock } from '../../../test/schedules/oracle.ts';
import type { Era, Life } from './life.ts';

const MINUTE = 60_000;

interface RunRow {
  schedule_id: string;
  due: number;
  start_after: number;
  deadline: number;
  state: string;
  missed: number;
  missed_since: number | null;
  late_at: number | null;
  started_at: number | null;
  finished_at: number | null;
  execution: string | null;
  reason: string | null;
}

/** @returns what is wrong */
export async function judge(life: Life): Promise<string | undefined> {
  const columns = ['due', 'start_after', 'deadline', 'missed_since', 'late_at', 'started_at', 'finished_at'];
  const { rows } = await life.world.client.query<RunRow>(
    `select schedule_id::text, state, missed, execution, reason,
            ${columns.map((c) => `(extract(epoch from ${c}) * 1000)::float8 as ${c}`).join(', ')}
       from holdfast.schedule_runs order by schedule_id, due`,
  );
  const wrong = [...life.broken];
  const { facts } = life;
  for (const run of rows) {
    facts.runs += 1;
    facts.missed += run.missed;
    facts.skipped += run.state === 'skipped' ? 1 : 0;
    facts.late += run.late_at === null ? 0 : 1;
    wrong.push(...alone(run, life));
  }
  for (const id of new Set(life.eras.map((era) => era.id))) {
    const runs = rows.filter((run) => run.schedule_id === id);
    const eras = life.eras.filter((era) => era.id === id);
    wrong.push(...together(runs, eras[0]!, life));
    for (const era of eras) wrong.push(...accounted(era, runs, life));
    const strays = runs.filter((run) => !eras.some((era) => within(era, run.due)));
    wrong.push(...strays.map((run) => `a run at ${iso(run.due)} when the schedule was not there`));
  }
  // Every execution is of one run, and every run that began has one.
  const executions = rows.flatMap((run) => (run.execution === null ? [] : [run.execution]));
  if (new Set(executions).size !== executions.length) wrong.push('two runs share an execution');
  for (const execution of life.begun.keys())
    if (!executions.includes(execution)) wrong.push(`${execution} is of no run`);
  for (const execution of executions) if (!life.begun.has(execution)) wrong.push(`${execution} was never begun`);
  return wrong.length > 0 ? wrong.slice(0, 4).join('\n') : undefined;
}

/** What must hold of each run on its own. */
function alone(run: RunRow, life: Life): string[] {
  const at = `run of ${run.schedule_id} at ${iso(run.due)}`;
  const wrong: string[] = [];
  if (run.finished_at === null) wrong.push(`${at} has not ended: ${run.state}`);
  if (run.state === 'skipped') return wrong;
  if (run.started_at === null || run.execution === null) return [...wrong, `${at} ended without beginning`];
  if (run.started_at < run.start_after) wrong.push(`${at} began before its time`);
  if (run.started_at > run.deadline !== (run.late_at !== null))
    wrong.push(`${at} began at ${iso(run.started_at)}, late: ${run.late_at}`);
  const begun = life.begun.get(run.execution);
  const failed = begun !== undefined && begun.to % 7 === 0;
  if (begun && (run.state === 'failed') !== failed) wrong.push(`${at} is ${run.state}`);
  return wrong;
}

/** What must hold between the runs of one schedule. */
function together(runs: readonly RunRow[], era: Era, { lived }: Life): string[] {
  const wrong: string[] = [];
  const shares = new Set(runs.map((run) => run.start_after - run.due));
  if (shares.size > 1) wrong.push(`${era.name} starts at changing offsets: ${[...shares].join(', ')}`);
  for (const share of shares)
    if (share < 0 || share > era.spread * MINUTE) wrong.push(`${era.name} starts ${share} ms after it is due`);
  for (const run of runs) {
    const before = runs.filter((other) => other.due < run.due && other.state !== 'skipped');
    if (run.state !== 'skipped') {
      if (before.some((other) => other.finished_at! > run.started_at!))
        wrong.push(`${era.name} overlaps itself at ${iso(run.due)}`);
      // By then at the latest it was decided that it may run, or wait.
      const decided = lived.find((time) => time >= run.start_after) ?? Number.POSITIVE_INFINITY;
      const inTheWay = (other: RunRow) => (era.overlap === 'skip' ? other.finished_at! : other.started_at!) > decided;
      if (before.some(inTheWay)) wrong.push(`${era.name} was not skipped at ${iso(run.due)}`);
      continue;
    }
    if (run.reason === 'the schedule was removed') continue;
    const decided = run.finished_at!;
    // Two schedulers at the same moment: one may have ended, or begun, what the other has just seen.
    const active = before.filter((other) => other.finished_at! >= decided);
    const waits = active.some((other) => other.started_at! >= decided);
    const right = era.overlap === 'skip' ? active.length > 0 : waits || active.length > 1;
    const removed = runs.some((other) => other.reason === 'the schedule was removed');
    if (!right && !removed) wrong.push(`${era.name} was skipped at ${iso(run.due)} for nothing`);
  }
  return wrong;
}

const within = (era: Era, due: number): boolean => due > era.from && due <= (era.to ?? Number.POSITIVE_INFINITY);

/** Every time of an era has its run, or one that stands for it; up to its end, or to the last look. */
function accounted(era: Era, runs: readonly RunRow[], life: Life): string[] {
  const from = Math.floor(era.from / MINUTE);
  const to = Math.ceil((era.to ?? life.end) / MINUTE) + 1;
  // From a day before, so that the clock's past is known where it is turned back.
  const begin = from - 1440;
  const due = dueMinutes(era.cron, wallClock(era.timeZone, begin - (begin % 30), to), begin - (begin % 30))
    .map((minute) => minute * MINUTE)
    .filter((time) => within(era, time) && time <= life.end);
  life.facts.due += due.length;
  const wrong: string[] = [];
  let done = 0;
  for (const run of runs.filter(({ due }) => within(era, due))) {
    const index = due.indexOf(run.due);
    if (index < 0) {
      wrong.push(`${era.name} (${era.cron} ${era.timeZone}) ran at ${iso(run.due)}, which it does not say`);
      continue;
    }
    const between = index - done;
    if (run.missed !== between)
      wrong.push(`${era.name} at ${iso(run.due)} stands for ${run.missed} instead of ${between}`);
    if (run.missed_since !== (between > 0 ? due[done]! : null))
      wrong.push(`${era.name} at ${iso(run.due)}: missed since the wrong time`);
    done = index + 1;
  }
  // While a schedule stays, everything whose start has come is accounted for.
  const share = runs[0] ? runs[0].start_after - runs[0].due : era.spread * MINUTE;
  const owed = era.to === null ? due.slice(done).filter((time) => time + share <= life.end) : [];
  if (owed.length > 0)
    wrong.push(`${era.name} (${era.cron} ${era.timeZone}) owes ${owed.length}, the first at ${iso(owed[0]!)}`);
  return wrong;
}

const iso = (instant: number): string => new Date(instant).toISOString();
