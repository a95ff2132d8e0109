/** Begins runs that may begin, and notes how those that run have ended. */
import type pg from 'pg';
import type { Workflows } from '../ports.ts';
import { transaction } from '../sql.ts';
import { admit } from './admit.ts';
import { JOBS, jobInput } from './jobs.ts';
import { LOCK } from './planDue.ts';
import { epochSql } from './store.ts';
import type { JobType } from './types.ts';

/** A run whose workflow cannot be begun is tried so often, after 1, 2, 4 and 8 minutes. */
const ATTEMPTS = 5;

/** A run, as reports and logs name it. */
export interface RunNote {
  readonly schedule: string;
  readonly tenant: string | null;
  readonly type: JobType;
  readonly due: number;
  readonly execution: string | null;
  readonly error?: { readonly code: string; readonly message: string };
}

interface Claimed extends RunNote {
  readonly id: string;
  readonly schedule_id: string;
  readonly attempts: number;
}

const CLAIMED = `r.id::text, r.schedule_id::text, s.name as schedule, r.tenant, s.type, ${epochSql('r.due')} as due, r.attempts, r.execution`;
const FROM = 'holdfast.schedule_runs r join holdfast.tenant_backup_schedules s on s.id = r.schedule_id';

/** Notes what waits beyond its deadline, once. */
export async function noteLate(client: pg.Client, now: number): Promise<RunNote[]> {
  const { rows } = await client.query<Claimed>(
    `update holdfast.schedule_runs r set late_at = $1 from holdfast.tenant_backup_schedules s
      where s.id = r.schedule_id and r.state = 'waiting' and r.deadline < $1 and r.late_at is null returning ${CLAIMED}`,
    [new Date(now)],
  );
  return rows.map(note);
}

/**
 * @param concurrency how many runs may go at once, of all schedules
 * @returns what began now, and what failed for good because it could not
 */
export async function begin(
  client: pg.Client,
  workflows: Workflows,
  now: number,
  concurrency: number,
): Promise<{ started: RunNote[]; failed: RunNote[] }> {
  const claimed = await transaction(client, '', async () => {
    await client.query(LOCK);
    const running = await client.query<{ lane: string }>(
      "select lane from holdfast.schedule_runs where state = 'running'",
    );
    const busy = running.rows.map((row) => row.lane);
    const slots = concurrency - busy.length;
    if (slots <= 0) return [];
    // Of a lane, only the first can go, so a few more than there are slots are enough to choose from.
    const waiting = await client.query<{ id: string; lane: string; deadline: number }>(
      `select id::text, lane, ${epochSql('deadline')} as deadline from holdfast.schedule_runs
        where state = 'waiting' and start_after <= $1 and lane <> all($2::text[]) order by deadline, id limit $3`,
      [new Date(now), busy, slots * 4 + 64],
    );
    const admitted = admit(waiting.rows, busy, slots).map((run) => run.id);
    return claim(client, admitted, now);
  });
  // A process that died between claiming a run and beginning its workflow left it so.
  const left = await client.query<Claimed>(
    `select ${CLAIMED} from ${FROM} where r.state = 'running' and r.execution is null`,
  );
  const started: RunNote[] = [];
  const failed: RunNote[] = [];
  const mine = new Set(claimed.map((run) => run.id));
  for (const run of [...claimed, ...left.rows.filter(({ id }) => !mine.has(id))]) {
    const { outcome, run: ended } = await beginOne(client, workflows, run, now);
    if (outcome === 'started') started.push(ended);
    if (outcome === 'failed') failed.push(ended);
  }
  return { started, failed };
}

async function claim(client: pg.Client, ids: readonly string[], now: number): Promise<Claimed[]> {
  if (ids.length === 0) return [];
  const { rows } = await client.query<Claimed>(
    `update holdfast.schedule_runs r set state = 'running', started_at = $2 from holdfast.tenant_backup_schedules s
      where s.id = r.schedule_id and r.id = any($1::bigint[]) and r.state = 'waiting' returning ${CLAIMED}`,
    [ids, new Date(now)],
  );
  await client.query('update holdfast.tenant_backup_schedules set last_run_at = $2 where id = any($1::bigint[])', [
    rows.map((row) => row.schedule_id),
    new Date(now),
  ]);
  return rows;
}

/** The same run has the same id however often it is begun, so that its workflow runs once. */
const executionId = (scheduleId: string, due: number): string =>
  `schedule-${scheduleId}-${new Date(due).toISOString().slice(0, 16).replaceAll(/[-:]/g, '')}`;

async function beginOne(
  client: pg.Client,
  workflows: Workflows,
  run: Claimed,
  now: number,
): Promise<{ outcome: 'started' | 'postponed' | 'failed'; run: RunNote }> {
  try {
    const { workflow } = JOBS[run.type];
    const id = executionId(run.schedule_id, run.due);
    const execution = await workflows.start(workflow, jobInput(run.type, run.tenant), { id });
    await client.query('update holdfast.schedule_runs set execution = $2 where id = $1', [run.id, execution]);
    return { outcome: 'started', run: { ...note(run), execution } };
  } catch (cause) {
    const error = { code: (cause as { code?: string }).code ?? 'HF_UNEXPECTED', message: (cause as Error).message };
    const attempts = run.attempts + 1;
    const last = attempts >= ATTEMPTS;
    await client.query(
      `update holdfast.schedule_runs set attempts = $2, error = $3, state = $4, finished_at = $5, start_after = $6 where id = $1`,
      [
        run.id,
        attempts,
        JSON.stringify(error),
        last ? 'failed' : 'waiting',
        last ? new Date(now) : null,
        new Date(now + 2 ** (attempts - 1) * 60_000),
      ],
    );
    return { outcome: last ? 'failed' : 'postponed', run: { ...note(run), error } };
  }
}

/** Asks how executions fare. One that nobody remembers is begun again, under the same id. */
export async function settle(
  client: pg.Client,
  workflows: Workflows,
  now: number,
): Promise<{ succeeded: RunNote[]; failed: RunNote[] }> {
  const { rows } = await client.query<Claimed>(
    `select ${CLAIMED} from ${FROM} where r.state = 'running' and r.execution is not null order by r.id`,
  );
  const ended = { succeeded: [] as RunNote[], failed: [] as RunNote[] };
  for (const run of rows) {
    const execution = await workflows.status(run.execution!);
    if (execution?.status === 'running') continue;
    if (execution === undefined) {
      await client.query('update holdfast.schedule_runs set execution = null where id = $1', [run.id]);
      continue;
    }
    const error = execution.error && { code: execution.error.error, message: execution.error.cause };
    await client.query(
      "update holdfast.schedule_runs set state = $2, finished_at = $3, error = $4 where id = $1 and state = 'running'",
      [run.id, execution.status, new Date(now), error ? JSON.stringify(error) : null],
    );
    ended[execution.status].push({ ...note(run), ...(error ? { error } : {}) });
  }
  return ended;
}

const note = ({ schedule, tenant, type, due, execution }: Claimed): RunNote => ({
  schedule,
  tenant,
  type,
  due,
  execution,
});
