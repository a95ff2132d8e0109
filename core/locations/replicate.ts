/**
 * Copies what a location lacks. Order makes every moment of it safe: marker, tenant keys, then backup by backup in order of
 * time, each with its manifest last. Nothing is overwritten or deleted, so it may be killed, repeated, and run twice at once.
 */
import type { FileManifest } from '../files/types.ts';
import {
  type KeyService,
  type ObjectStore,
  type PersonKeyStore,
  type Progress,
  silentProgress,
  type Trust,
} from '../ports.ts';
import { listManifests } from '../snapshot/manifest.ts';
import type { Manifest } from '../snapshot/types.ts';
import type { CopiedBackup } from './copyBackup.ts';
import { KEY_FOLDERS, SIDE_FOLDERS } from './document.ts';
import { type FileReplicationReport, replicateFiles } from './fileRuns.ts';
import { ReplicationRun } from './replicationRun.ts';
import { sameStore } from './sameStore.ts';

export interface Replication {
  /** Only read: listed, asked for sizes, got from. */
  readonly source: ObjectStore;
  readonly target: ObjectStore;
  readonly trust: Trust;
  /** The root, where it may be used: it proves tenant keys. Without it, they are checked for shape and place. */
  readonly keys?: KeyService | undefined;
  /** With the keys, opens the contents of users' files, and so proves them; without, only that they are whole is checked. */
  readonly persons?: PersonKeyStore | undefined;
  readonly progress?: Progress;
  /** Ids of the backups that the target should have, out of all sound ones of the source. @default all */
  readonly select?: (manifests: readonly ManifestFacts[]) => ReadonlySet<string>;
  /** Whether a key, proof, hold or seal goes along, by its name. @default all do */
  readonly documents?: (name: string) => boolean;
  /** Whether a backup of users' files goes along; false: none does. @default all do */
  readonly files?: false | ((manifest: FileManifest) => boolean);
}

/** What is kept of each manifest while a run goes on. */
export type ManifestFacts = Pick<
  Manifest,
  'id' | 'tenant' | 'type' | 'parent' | 'finishedAt' | 'horizon' | 'log' | 'consistentFrom' | 'totals'
>;

export interface ReplicationReport {
  /** Id of the store that both are copies of. */
  readonly store: string;
  readonly from: string;
  readonly to: string;
  readonly copied: readonly CopiedBackup[];
  /** Backups of the source that the target had. */
  readonly present: number;
  /** Keys, proofs, holds and seals that were copied. */
  readonly documents: number;
  /** Tenant keys among them that nothing here could open: they were checked for shape and place only. */
  readonly unproven: number;
  readonly bytes: number;
  /** Backups that were not copied, because they, or what they stand on, are not sound. */
  readonly withheld: readonly Withheld[];
  /** Documents that were not copied, and names under which the target holds other bytes. */
  readonly faults: readonly DocumentFault[];
  /** Backups of users' files; undefined when there was nothing to copy. */
  readonly files?: FileReplicationReport;
}

export interface Withheld {
  readonly id: string;
  readonly code: string;
  readonly message: string;
}

export interface DocumentFault {
  readonly object: string;
  readonly code: string;
  readonly message: string;
}

/**
 * Faults of single objects are in the report; what they do not touch is copied.
 * @throws StoreError HF_STORE_UNKNOWN, HF_LOCATION_FOREIGN, HF_STORE_FULL, HF_STORE_DENIED, HF_STORE_UNAVAILABLE;
 * KeyError HF_KEY_WRONG, HF_KEY_UNAVAILABLE; IntegrityError HF_STORE_MARKER
 */
export async function replicate(job: Replication): Promise<ReplicationReport> {
  const { source, target, progress = silentProgress } = job;
  const storeId = await sameStore(job);
  // Before all else: what these name exists by now, and what comes later is for the next run.
  const [sources, targets] = await Promise.all([listManifests(source), listManifests(target)]);
  const run = new ReplicationRun(job, storeId, targets);
  for (const folder of KEY_FOLDERS) await run.documents(folder);
  const lacking = await run.lacking(sources);
  const facts = await run.facts(job.select ? sources : lacking);
  const wanted = job.select?.([...facts.values()]);
  const todo = lacking.filter(({ id }) => facts.has(id) && (wanted?.has(id) ?? true));
  const bytes = todo.reduce((sum, { id }) => sum + facts.get(id)!.totals.bytes, 0);
  progress.start('Copying', bytes, 'bytes');
  for (const ref of todo) await run.backup(ref, facts.get(ref.id)!);
  progress.done();
  for (const folder of SIDE_FOLDERS) await run.documents(folder);
  const files =
    job.files === false
      ? undefined
      : await replicateFiles({ ...job, ...(job.files ? { runs: job.files } : {}) }, storeId);
  const had = new Set(targets.map(({ name }) => name));
  return {
    store: storeId,
    from: source.description,
    to: target.description,
    present: sources.filter(({ name }) => had.has(name)).length,
    ...run.report(),
    ...(files && !isNothing(files) ? { files } : {}),
  };
}

const isNothing = ({ runs, contents, withheld, faults }: FileReplicationReport): boolean =>
  runs.length + contents + withheld.length + faults.length === 0;
