/** Some days of a scheduler: schedules that are made, changed, paused and removed, executions that take their time, outages, kills. */
import type pg from 'pg';
import type { Execution, Workflows } from '../../../core/ports.ts';
import type { WrittenSchedule } from '../../../core/schedules/define.ts';
import { addSchedule, changeSchedule, removeSchedule } from '../../../core/schedules/store.ts';
import { type TickReport, tick } from '../../../core/schedules/tick.ts';
import type { Schedule } from '../../../core/schedules/types.ts';
import { connect } from '../../../core/sql.ts';
import type { World } from '../../../test/schedules/world.ts';
import type { Random } from '../suite.ts';
import { type Fate, Killed, mortalClient, mortalEngine } from './mortal.ts';

const MINUTE = 60_000;
const HOUR = 60 * MINUTE;
const LOOKS = 70;

const ZONES = ['UTC', 'Europe/Berlin', 'America/New_York', 'Australia/Lord_Howe', 'Africa/Cairo', 'Asia/Kathmandu'];
/** Around each of these some clock is changed: spring, autumn, and none. */
const DAYS = [
  '2026-03-07',
  '2026-03-28',
  '2026-04-04',
  '2026-04-23',
  '2026-10-03',
  '2026-10-24',
  '2026-10-31',
  '2026-07-01',
];
const TYPES = ['full', 'incremental', 'transaction_log', 'cleanup', 'validate', 'config'] as const;

/** A stretch in which a schedule stayed as it was; `to` is null while it lasts. */
export interface Era {
  readonly id: string;
  readonly name: string;
  readonly cron: string;
  readonly timeZone: string;
  readonly spread: number;
  readonly overlap: 'skip' | 'queue';
  readonly from: number;
  to: number | null;
}

export interface Begun {
  readonly execution: string;
  readonly input: Readonly<Record<string, unknown>>;
  readonly workflow: string;
  readonly from: number;
  readonly to: number;
}

export class Life {
  readonly world: World;
  readonly facts = { due: 0, runs: 0, missed: 0, skipped: 0, late: 0, kills: 0, looks: 0, repeatedStarts: 0 };
  readonly eras: Era[] = [];
  readonly begun = new Map<string, Begun>();
  /** When somebody looked at the clock and was not killed. */
  readonly lived: number[] = [];
  /** What the engine itself saw broken. */
  readonly broken: string[] = [];
  readonly concurrency: number;
  readonly start: number;
  now: number;
  /** Until when schedules counted. */
  end = 0;
  readonly #random: Random;
  /** Connections of schedulers that lived. */
  readonly #idle: pg.Client[] = [];
  #made = 0;
  readonly #live = new Map<string, { schedule: Schedule; era: Era | undefined }>();

  constructor(world: World, random: Random) {
    this.world = world;
    this.#random = random;
    this.concurrency = 1 + random.int(3);
    this.start = Date.parse(`${random.pick(DAYS)}T00:00:00Z`) + random.int(24 * 60) * MINUTE;
    this.now = this.start;
  }

  async live(): Promise<void> {
    await this.world.client.query(
      'truncate holdfast.tenant_backup_schedules cascade; delete from holdfast.tenant_backup_logs',
    );
    for (let i = 2 + this.#random.int(5); i > 0; i -= 1) await this.#add();
    let report: TickReport | undefined;
    for (let i = 0; i < LOOKS; i += 1) {
      this.#advance(report);
      if (this.#random.chance(0.08)) await this.#meddle();
      report = (await this.#look()) ?? report;
    }
    await this.#look(false);
    this.end = this.now;
    // From here on nothing more comes due, nobody is killed, and what runs may end.
    for (const { schedule } of this.#live.values()) {
      await changeSchedule(this.world.client, schedule, { enabled: false }, { by: 'life', now: this.now });
    }
    for (let i = 0; i < 500; i += 1) {
      const { running, started } = (await this.#look(false))!;
      const { rows } = await this.world.client.query(
        "select count(*)::int as n from holdfast.schedule_runs where state = 'waiting'",
      );
      if (running === 0 && started.length === 0 && rows[0].n === 0) {
        for (const client of this.#idle) await client.end();
        return;
      }
      this.now += 20 * MINUTE;
    }
    throw new Error('some run never ends, or never begins');
  }

  /** Mostly to when there is something to do; at times a few seconds late, or after a long sleep. */
  #advance(report: TickReport | undefined): void {
    const random = this.#random;
    const next = report?.nextLook ?? this.now + 20 * MINUTE;
    const to =
      report && report.running > 0 && random.chance(0.6) ? Math.min(next, this.now + random.int(25) * MINUTE) : next;
    const sleep = random.chance(0.07) ? random.int(30) * HOUR : random.chance(0.3) ? random.int(90_000) : 0;
    this.now = Math.max(to, this.now + 1000) + sleep;
  }

  #written(): WrittenSchedule {
    const random = this.#random;
    const type = random.pick(TYPES);
    const perTenant = ['full', 'incremental', 'transaction_log'].includes(type);
    return {
      type,
      ...this.#timing(),
      overlap: random.pick(['skip', 'queue']),
      grace: 1 + random.int(120),
      spread: random.chance(0.5) ? 0 : 1 + random.int(90),
      ...(perTenant && random.chance(0.6) ? { tenant: random.pick(['one', 'two']) } : {}),
    };
  }

  #timing(): { cron: string; timeZone: string } {
    const random = this.#random;
    const minute = random.int(60);
    const cron = random.pick([
      `${minute} * * * *`,
      `*/${random.pick([10, 15, 30])} * * * *`,
      `${minute} ${random.int(4)} * * *`,
      `${minute},${random.int(60)} 1-3 * * *`,
      `${minute} */${random.pick([2, 3, 4])} * * *`,
      `${minute} 9-17 * * 1-5`,
      `0 0 * * ${random.pick(['sun', 'sat,sun', '1-6'])}`,
      '0 0 1 * *',
    ]);
    return { cron, timeZone: random.pick(ZONES) };
  }

  async #add(): Promise<void> {
    const written = { ...this.#written(), name: `s${this.#made}` };
    this.#made += 1;
    const schedule = await addSchedule(this.world.client, written, 'life', this.now);
    this.#live.set(schedule.id, { schedule, era: this.#era(schedule) });
  }

  #era({ id, name, cron, timeZone, spread, overlap }: Schedule): Era {
    const era = { id, name, cron, timeZone, spread, overlap, from: this.now, to: null };
    this.eras.push(era);
    return era;
  }

  async #meddle(): Promise<void> {
    const random = this.#random;
    const { client } = this.world;
    if (random.chance(0.2)) return this.#add();
    const entry = random.pick([...this.#live.values()]);
    const by = { by: 'life', now: this.now };
    if (random.chance(0.15) && this.#live.size > 1) {
      await removeSchedule(client, entry.schedule, by);
      this.#live.delete(entry.schedule.id);
      if (entry.era) entry.era.to = this.now;
      return;
    }
    const enabled = entry.era === undefined ? true : !random.chance(0.4);
    const changes = enabled && entry.era !== undefined ? this.#timing() : { enabled };
    entry.schedule = await changeSchedule(client, entry.schedule, changes, by);
    const { cron, timeZone } = entry.era ?? {};
    if (entry.era && enabled && cron === entry.schedule.cron && timeZone === entry.schedule.timeZone) return;
    if (entry.era) entry.era.to = this.now;
    entry.era = enabled ? this.#era(entry.schedule) : undefined;
  }

  /** One scheduler or two at once, each of which may die. @returns the report of one that lived */
  async #look(mortal = true): Promise<TickReport | undefined> {
    const together = mortal && this.#random.chance(0.15) ? 2 : 1;
    const reports = await Promise.all(Array.from({ length: together }, () => this.#lookOnce(mortal)));
    return reports.find((report) => report !== undefined);
  }

  async #lookOnce(mortal: boolean): Promise<TickReport | undefined> {
    this.facts.looks += 1;
    const dies = mortal && this.#random.chance(0.3);
    const fate: Fate = {
      left: dies ? 1 + this.#random.int(16) : Number.POSITIVE_INFINITY,
      arrives: this.#random.chance(0.5),
    };
    const client = this.#idle.pop() ?? (await connect(this.world.database.url));
    try {
      const options = { now: this.now, concurrency: this.concurrency };
      const report = await tick(mortalClient(client, fate), mortalEngine(this.engine, fate), options);
      this.#idle.push(client);
      this.lived.push(this.now);
      return report;
    } catch (error) {
      if (!(error instanceof Killed)) throw error;
      this.facts.kills += 1;
      return undefined;
    }
  }

  /** Executions take minutes to hours, and some fail; the engine remembers each of them. */
  readonly engine: Workflows = {
    start: async (workflow, input, { id }) => {
      const execution = `${workflow}:${id}`;
      if (this.begun.has(execution)) {
        this.facts.repeatedStarts += 1;
        return execution;
      }
      const underWay = [...this.begun.values()].filter(({ to }) => to > this.now);
      if (underWay.length >= this.concurrency)
        this.broken.push(`${underWay.length + 1} at once instead of ${this.concurrency}`);
      if (underWay.some((other) => lane(other) === lane({ workflow, input })))
        this.broken.push(`two at once of ${lane({ workflow, input })}`);
      const minutes = this.#random.chance(0.2) ? this.#random.int(300) : this.#random.int(12);
      this.begun.set(execution, { execution, workflow, input, from: this.now, to: this.now + minutes * MINUTE });
      return execution;
    },
    status: async (execution): Promise<Execution | undefined> => {
      const begun = this.begun.get(execution);
      if (!begun) return undefined;
      if (begun.to > this.now) return { status: 'running' };
      return begun.to % 7 === 0
        ? { status: 'failed', error: { error: 'Some', cause: 'thing' } }
        : { status: 'succeeded' };
    },
  };
}

/** What may not run beside itself: backups of one tenant, whatever their kind; any other workflow. */
const lane = ({ workflow, input }: Pick<Begun, 'workflow' | 'input'>): string =>
  /backup$/.test(workflow) && workflow !== 'config-backup' ? `backups of ${input.tenant ?? 'everything'}` : workflow;
