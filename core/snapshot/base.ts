/** Which kind of backup can be made, and what its log continues. Pure: facts in, decision out. */
import { DatabaseError } from '../errors.ts';
import { isAtOrAfter, parseSnapshot } from '../history/snapshots.ts';
import type { BackupType, Manifest } from './types.ts';

/** What is known when a backup is asked for. */
export interface BaseFacts {
  readonly asked: BackupType;
  /** Latest backup of this scope, and the latest full; undefined: none. */
  readonly latest: Manifest | undefined;
  readonly full: Manifest | undefined;
  /** Why the backups before cannot be continued, if they cannot be read. */
  readonly unreadable?: string;
  readonly epoch: string;
  /** `pg_current_snapshot()` now. */
  readonly current: string;
  /** Ids of backups that the catalog knows. */
  readonly known: (id: string) => boolean;
  /** Whether the horizon that a log would continue from is still there. */
  readonly reaches: (from: Manifest) => boolean;
  /** Tables that this backup protects, with their versions; `barrier` names a change that history cannot be carried across. */
  readonly tables: readonly {
    readonly name: string;
    readonly id: number;
    readonly version: number;
    readonly barriers: readonly { version: number; what: string }[];
  }[];
}

export interface Decision {
  readonly type: BackupType;
  /** The backup whose log is continued; undefined: there is none to continue. */
  readonly parent: Manifest | undefined;
  /** Why a full is made instead of what was asked. */
  readonly note?: string;
}

/** @throws DatabaseError HF_DATABASE_REWOUND */
export function decide(facts: BaseFacts): Decision {
  const { latest, full, asked } = facts;
  const same = latest?.epoch === facts.epoch;
  if (latest && same) refuseRewound(latest, facts);
  const continued = latest && same && facts.reaches(latest) ? latest : undefined;
  if (asked === 'full') return { type: 'full', parent: continued };

  const because = (note: string): Decision => ({
    type: 'full',
    parent: continued,
    note: `Made a full backup: ${note}`,
  });
  if (facts.unreadable) return because(`the backups before it cannot be read (${facts.unreadable}).`);
  if (!latest || !full) return because('there was none to build on.');
  if (!same || full.epoch !== facts.epoch) return because('the database was restored since the last one.');
  const parent = asked === 'differential' ? full : latest;
  if (!facts.reaches(parent)) return because(`the history since ${parent.id} is no longer in the database.`);
  const change = schemaChange(full, facts);
  return change ? because(change) : { type: asked, parent };
}

function schemaChange(full: Manifest, facts: BaseFacts): string | undefined {
  const before = new Map(full.tables.map((t) => [t.id, t]));
  for (const table of facts.tables) {
    const then = before.get(table.id);
    if (!then) return `${table.name} is new since the last full backup.`;
    const barrier = table.barriers.find((b) => b.version > then.version);
    if (barrier) return `${table.name} has changed in a way that history cannot cross (${barrier.what}).`;
  }
  return undefined;
}

function refuseRewound(latest: Manifest, facts: BaseFacts): void {
  const behind = !isAtOrAfter(parseSnapshot(facts.current), parseSnapshot(latest.log.to));
  // A synthetic full may be made where the database is out of reach; what it was made of is as good a witness.
  if (!behind && [latest.id, ...(latest.synthetic ?? [])].some(facts.known)) return;
  throw new DatabaseError(
    'HF_DATABASE_REWOUND',
    `The store holds backup ${latest.id}, but the database ${behind ? 'has not reached its end' : 'does not know of it'}.`,
    {
      action:
        'If this database was brought back to an earlier state outside Holdfast, run "holdfast catalog rebuild": ' +
        'the next backup is then a full one. If the store belongs to another database, point to the right store.',
      details: { backup: latest.id, expected: latest.log.to, got: facts.current },
    },
  );
}
