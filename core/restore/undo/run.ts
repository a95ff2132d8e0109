/** One try at an undo, as its parts pass it on: what is asked, what is known of the schema, what has been gathered so far. */
import type { Client } from '../../sql.ts';
import type { Scope } from '../diff.ts';
import type { SuspendedTrigger } from '../triggers.ts';
import type { Decisions } from './decide.ts';
import type { Desk, Facts } from './desk.ts';
import type { Planned } from './planned.ts';
import type { Selection } from './scope.ts';
import type { ApplyRequest, Offer, Violation } from './types.ts';

export interface Attempt {
  readonly desk: Desk;
  readonly facts: Facts;
  readonly request: ApplyRequest;
  readonly selection: Selection;
  readonly preview: boolean;
}

export interface Run extends Attempt {
  readonly client: Client;
  readonly scope: Scope;
  readonly planned: Planned;
  readonly decisions: Decisions;
  /** Of records that were named: those that have changed. */
  readonly seen: Set<string>;
}

/** What came of it besides the rows. */
export interface Written {
  readonly offers: readonly Offer[];
  readonly violations: readonly Violation[];
  readonly suspended: readonly SuspendedTrigger[];
}
