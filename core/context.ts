import type { DataMap } from './datamap/types.ts';
import type { Clock, ErasureLedger, KeyService, ObjectStore, PersonKeyStore, Progress } from './ports.ts';

/** Everything an operation needs; the CLI, a Lambda handler or a test puts it together once and passes it on. */
export interface Context {
  /** Of the protected database. Absent when only the store is left. */
  readonly databaseUrl?: string;
  readonly map: DataMap;
  readonly store: ObjectStore;
  readonly keys: KeyService;
  readonly persons: PersonKeyStore;
  readonly ledger: ErasureLedger;
  readonly clock: Clock;
  readonly progress: Progress;
}
