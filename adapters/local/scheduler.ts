/**
 * The scheduler of one machine: looks at the clock whenever something may be due. What it knows is in the database, so a restart
 * finds what was due meanwhile, and a killed one loses nothing.
 */
import type pg from 'pg';
import { ConfigError } from '../../core/errors.ts';
import type { Clock, Workflows } from '../../core/ports.ts';
import { checkSchedulesInstalled } from '../../core/schedules/store.ts';
import { type TickReport, tick } from '../../core/schedules/tick.ts';
import { connect } from '../../core/sql.ts';

/** Work that is done every so often, whatever the schedules say. */
export interface Chore {
  readonly name: string;
  readonly everyMs: number;
  readonly run: (client: pg.Client) => Promise<void>;
}

export interface LocalSchedulerProps {
  readonly databaseUrl: string;
  readonly clock: Clock;
  /** Runs at once, of all schedules. @default 2 */
  readonly concurrency?: number;
  /** Hears of every look at which something happened. */
  readonly onTick?: (report: TickReport) => void;
  /** Hears of what went wrong and is tried again: `look`, or the name of a chore. */
  readonly onError?: (what: string, error: unknown) => void;
}

export interface SchedulerStatus {
  /** Milliseconds since the epoch; null: not yet. */
  readonly lastLook: number | null;
  readonly nextLook: number | null;
  readonly error: string | null;
}

/** While nothing runs and nothing is due, it looks this often all the same: a clock may have been put forward. */
const IDLE_MS = 30_000;
/** While something runs, to notice its end. */
const BUSY_MS = 1000;
const RETRY_MS = 5000;
const SHORTEST_MS = 50;
const LOCK = "select pg_try_advisory_lock(hashtextextended('holdfast.service', 0)) as free";

export class LocalScheduler {
  readonly #props: LocalSchedulerProps;
  readonly #choresDone = new Map<string, number>();
  #chores: readonly Chore[] = [];
  #client: pg.Client | undefined;
  #status: SchedulerStatus = { lastLook: null, nextLook: null, error: null };
  #stopping = false;
  #wake = () => {};
  #loop: Promise<void> = Promise.resolve();

  private constructor(props: LocalSchedulerProps) {
    this.#props = props;
  }

  /**
   * Makes sure that it is the only one; nothing is begun before `run`.
   * @throws ConfigError HF_SERVICE_RUNNING when another one works on this database; DatabaseError HF_NOT_INSTALLED, or as `connect` does
   */
  static async open(props: LocalSchedulerProps): Promise<LocalScheduler> {
    const scheduler = new LocalScheduler(props);
    await scheduler.#connect();
    return scheduler;
  }

  run(workflows: Workflows, chores: readonly Chore[] = []): void {
    this.#chores = chores;
    this.#loop = this.#watch(workflows);
  }

  get status(): SchedulerStatus {
    return this.#status;
  }

  /** Resolves when nothing more is begun; what runs goes on. */
  async stop(): Promise<void> {
    this.#stopping = true;
    this.#wake();
    await this.#loop;
    await this.#client?.end();
  }

  async #connect(): Promise<pg.Client> {
    const client = await connect(this.#props.databaseUrl, 'holdfast-scheduler');
    try {
      await checkSchedulesInstalled(client);
      await this.#lock(client);
      client.on('notification', () => this.#wake());
      await client.query('listen holdfast_schedules');
    } catch (error) {
      await client.end();
      throw error;
    }
    this.#client = client;
    return client;
  }

  /** For as long as the connection lasts: whoever dies lets go of it. */
  async #lock(client: pg.Client): Promise<void> {
    const { rows } = await client.query<{ free: boolean }>(LOCK);
    if (rows[0]!.free) return;
    throw new ConfigError('HF_SERVICE_RUNNING', 'Another service works on this database.', {
      action: 'Stop it first; its lock goes with its connection. On one database, one service is enough.',
    });
  }

  async #watch(workflows: Workflows): Promise<void> {
    while (!this.#stopping) {
      // A signal that comes during the look is not lost: it ends the pause that follows.
      const woken = new Promise<void>((done) => {
        this.#wake = done;
      });
      const pause = await this.#look(workflows);
      const timer = setTimeout(() => this.#wake(), pause);
      await woken;
      clearTimeout(timer);
    }
  }

  /** @returns milliseconds until the next */
  async #look(workflows: Workflows): Promise<number> {
    const { clock, concurrency = 2, onTick, onError } = this.#props;
    const now = Number(clock.now() / 1000n);
    try {
      const client = this.#client ?? (await this.#connect());
      const report = await tick(client, workflows, { now, concurrency });
      if (happened(report)) onTick?.(report);
      await this.#doChores(client, now);
      const busy = report.running > 0 || report.started.length > 0;
      const due = report.nextLook === null ? IDLE_MS : report.nextLook - now;
      const pause = Math.max(SHORTEST_MS, Math.min(due, busy ? BUSY_MS : IDLE_MS));
      this.#status = { lastLook: now, nextLook: now + pause, error: null };
      return pause;
    } catch (error) {
      onError?.('look', error);
      this.#status = { ...this.#status, nextLook: now + RETRY_MS, error: (error as Error).message };
      // Whatever state the connection is in, a new one is sound; the lock is taken anew with it.
      await this.#client?.end().catch(() => {});
      this.#client = undefined;
      return RETRY_MS;
    }
  }

  async #doChores(client: pg.Client, now: number): Promise<void> {
    for (const { name, everyMs, run } of this.#chores) {
      if (this.#stopping || now - (this.#choresDone.get(name) ?? 0) < everyMs) continue;
      this.#choresDone.set(name, now);
      await run(client).catch((error: unknown) => this.#props.onError?.(name, error));
    }
  }
}

const happened = (report: TickReport): boolean =>
  report.planned + report.missed + report.skipped > 0 ||
  [report.started, report.succeeded, report.failed, report.late, report.faults].some((list) => list.length > 0);
