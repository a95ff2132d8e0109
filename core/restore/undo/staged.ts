/**
 * The undo through staging tables: as many rows as there are, and everything that may stand in the way looked for beforehand. What
 * needs another record is left out (policy skip), taken along (included), or named.
 */
import { ConfigError, RestoreError } from '../../errors.ts';
import type { Client } from '../../sql.ts';
import { prepare } from '../apply.ts';
import { classify, type Scope } from '../diff.ts';
import { keyOf } from '../record.ts';
import { Stage } from '../stage.ts';
import type { TableWork } from '../statement.ts';
import type { Decisions } from './decide.ts';
import type { Facts } from './desk.ts';
import { type Extra, extraFor, readGoing } from './extras.ts';
import { type RecordNet, toNet } from './nets.ts';
import type { Planned } from './planned.ts';
import { findObstacles, type Obstacle } from './structure.ts';
import type { Offer, PlannedRow, RecordName, UndoRequest, Violation } from './types.ts';

export interface Staged {
  readonly works: readonly TableWork[];
  readonly offers: readonly Offer[];
  readonly violations: readonly Violation[];
}

/** Rounds after which a chain of records that need each other is given up. */
const ROUNDS = 100;

export async function stageUndo(
  client: Client,
  nets: AsyncIterable<RecordNet>,
  about: { facts: Facts; scope: Scope; request: UndoRequest; planned: Planned; decisions: Decisions },
): Promise<Staged> {
  const { facts, scope, request } = about;
  const stage = new Stage(client, [...facts.targets.values()], keyOf);
  await stage.load(asNets(nets));
  const work = new Settling(client, stage, about);
  await work.settle();
  // Offers are what would be needed: they are in the stage only where they are included.
  const works = work.refused.length > 0 ? [] : await prepare(client, stage, scope);
  checkIncluded(request, work.extras);
  const offers = work.extras.map((e) => e.offer).slice(0, request.limit ?? 200);
  return { works, offers, violations: violationsOf(work.refused, offers) };
}

async function* asNets(nets: AsyncIterable<RecordNet>) {
  for await (const net of nets) yield toNet(net);
}

class Settling {
  readonly extras: Extra[] = [];
  readonly refused: Obstacle[] = [];
  readonly #client: Client;
  readonly #stage: Stage;
  readonly #facts: Facts;
  readonly #scope: Scope;
  readonly #request: UndoRequest;
  readonly #planned: Planned;
  readonly #decisions: Decisions;
  readonly #seen = new Set<string>();

  constructor(
    client: Client,
    stage: Stage,
    about: { facts: Facts; scope: Scope; request: UndoRequest; planned: Planned; decisions: Decisions },
  ) {
    this.#client = client;
    this.#stage = stage;
    this.#facts = about.facts;
    this.#scope = about.scope;
    this.#request = about.request;
    this.#planned = about.planned;
    this.#decisions = about.decisions;
  }

  /** Until nothing is in the way, or nothing can be done about what is. */
  async settle(): Promise<void> {
    for (let round = 0; round < ROUNDS; round += 1) {
      const tables = await this.#stage.complete();
      await classify(this.#client, tables, this.#scope);
      const obstacles = await findObstacles(this.#client, tables, this.#facts, this.#scope);
      const fresh = obstacles.filter((o) => !this.#seen.has(JSON.stringify([o.kind, o.constraint, o.record, o.other])));
      if (fresh.length === 0) return;
      for (const o of fresh) this.#seen.add(JSON.stringify([o.kind, o.constraint, o.record, o.other]));
      const moved = this.#request.policy === 'skip' ? await this.#skip(fresh) : await this.#gather(fresh);
      if (!moved) return;
    }
    throw new RestoreError('HF_RESTORE_CONFLICT', `After ${ROUNDS} rounds the undo still needs further records.`, {
      action: 'Undo a larger part at once: the table or the tenant to a moment.',
      details: { obstacles: this.refused.slice(0, 5) },
    });
  }

  async #skip(obstacles: readonly Obstacle[]): Promise<boolean> {
    const left = new Map<string, Obstacle>();
    const extras: Extra[] = [];
    for (const obstacle of obstacles) {
      const extra = await extraFor(this.#client, this.#scope.tenant, obstacle, this.#facts);
      if (extra && this.#wanted(extra)) extras.push(extra);
      else {
        if (extra) this.#remember(extra);
        left.set(JSON.stringify(obstacle.record), obstacle);
      }
    }
    for (const obstacle of left.values()) {
      const { table, record } = obstacle.record;
      const staged = await this.#stage.table(this.#facts.byName.get(table)!.bound.id);
      const { rows } = await this.#client.query(
        `delete from ${staged.sql} where _hf_record = $1 returning _hf_do::text as do`,
        [record],
      );
      if (rows.length === 0) continue;
      this.#planned.leaveOut(table, record, ACTIONS[rows[0].do as keyof typeof ACTIONS]);
      this.#decisions.add({
        kind: obstacle.kind,
        table,
        record,
        constraint: obstacle.constraint,
        by: [],
        take: 'current',
      });
    }
    await this.#include(extras);
    return true;
  }

  /** Everything that is needed is put into the stage, so that what it needs in turn comes to light too. */
  async #gather(obstacles: readonly Obstacle[]): Promise<boolean> {
    const extras: Extra[] = [];
    for (const obstacle of obstacles) {
      const extra = await extraFor(this.#client, this.#scope.tenant, obstacle, this.#facts);
      if (extra) extras.push(extra);
      if (!extra || !this.#wanted(extra)) this.refused.push(obstacle);
    }
    await this.#include(extras);
    return extras.length > 0;
  }

  #wanted({ offer }: Extra): boolean {
    const { include } = this.#request;
    if (include === undefined) return false;
    return include === 'offered' || include.some((r) => same(r, offer));
  }

  #remember(extra: Extra): boolean {
    if (this.extras.some((e) => same(e.offer, extra.offer))) return false;
    this.extras.push(extra);
    return true;
  }

  async #include(extras: readonly Extra[]): Promise<void> {
    const fresh = extras.filter((extra) => this.#remember(extra));
    for (const [id, own] of Map.groupBy(fresh, (e) => e.net.table)) {
      const staged = await this.#stage.table(id);
      // A record may be in the stage for its fields, or to be deleted; what is offered replaces that.
      const records = own.map((e) => e.net.record);
      await this.#client.query(`delete from ${staged.sql} where _hf_record = any($1)`, [records]);
      await this.#stage.load(asNets(each(own.map((e) => e.net))));
      const going = await readGoing(this.#client, staged, records);
      for (const { net, offer } of own) {
        const whole = net.action === 'delete' ? { ...net, before: going.get(net.record) ?? {} } : net;
        if (this.#wanted({ net, offer })) this.#planned.add(whole, true);
      }
    }
  }
}

const ACTIONS = { I: 'insert', U: 'update', D: 'delete' } as const satisfies Record<string, PlannedRow['action']>;

const same = (a: RecordName, b: RecordName): boolean => a.table === b.table && a.record === b.record;

async function* each(nets: readonly RecordNet[]): AsyncGenerator<RecordNet> {
  yield* nets;
}

function checkIncluded(request: UndoRequest, extras: readonly Extra[]): void {
  if (request.include === undefined || request.include === 'offered') return;
  const stray = request.include.find((r) => !extras.some((e) => same(e.offer, r)));
  if (!stray) return;
  throw new ConfigError('HF_CHOICE_INVALID', `The undo does not need ${stray.table} ${stray.record}.`, {
    action: 'Include only records that a preview offers, named as it does.',
    details: { record: stray },
  });
}

function violationsOf(refused: readonly Obstacle[], offers: readonly Offer[]): Violation[] {
  return refused.slice(0, 50).map((obstacle) => {
    const { table, record } = obstacle.record;
    const other = obstacle.other ? `${obstacle.other.table} ${obstacle.other.record}` : undefined;
    const offered = offers.some((o) => same(o.for, obstacle.record) && o.constraint === obstacle.constraint);
    const message = {
      missing: `${table} ${record} points at ${other ?? 'a row'} that is not there (${obstacle.constraint}).`,
      referenced: `${other} points at ${table} ${record}, which the undo would remove (${obstacle.constraint}).`,
      taken: `${other ?? 'A row of another tenant'} holds the unique value that ${table} ${record} would have (${obstacle.constraint}).`,
    }[obstacle.kind];
    return {
      code: 'HF_UNDO_NEEDS',
      message,
      action: offered
        ? 'Include what the plan offers, or leave such records as they are with the policy skip.'
        : 'Change or remove that row first, or leave such records as they are with the policy skip.',
      details: { kind: obstacle.kind, constraint: obstacle.constraint, table, record, other: obstacle.other },
    };
  });
}
