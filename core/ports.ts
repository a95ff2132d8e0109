/**
 * The ports: what the domain needs from the outside world. `adapters/local` and `adapters/aws` implement them; nothing in
 * `core` knows which one it was given.
 */
import type { Moment } from './moment.ts';

/** An immutable object store: a directory, S3, or anything S3-compatible. Names are `/`-separated, never reused. */
export interface ObjectStore {
  /** For messages: `directory ./backups` or `s3://bucket/prefix`. */
  readonly description: string;
  /**
   * Writes a new object, durably, before it resolves. A reader sees all of it or nothing.
   * @throws StoreError HF_OBJECT_EXISTS when the name is taken, HF_STORE_FULL, HF_STORE_DENIED, HF_STORE_UNAVAILABLE
   */
  put(name: string, body: Uint8Array): Promise<void>;
  /**
   * The same for a body whose size is not known. Memory stays flat. An error thrown by the iterable aborts the write and
   * leaves no object.
   */
  putStream(name: string, body: AsyncIterable<Uint8Array>): Promise<void>;
  /**
   * The whole object, or `length` bytes from `offset`.
   * @throws IntegrityError HF_OBJECT_MISSING when there is none, HF_OBJECT_TRUNCATED when the range passes its end
   */
  get(name: string, range?: { offset: number; length: number }): Promise<Buffer>;
  /** Size in bytes, or undefined when there is no such object. */
  head(name: string): Promise<{ size: number } | undefined>;
  /** Names and sizes under a prefix, in name order, streamed. */
  list(prefix: string): AsyncIterable<{ name: string; size: number }>;
  /** Removes an object; no error when it is already gone. Only retention calls this, with its own credentials on AWS. */
  delete(name: string): Promise<void>;
}

/** How an object is kept from being changed or removed. */
export interface ObjectLock {
  /**
   * compliance: nobody can lift it before `until`. governance: only who holds a special right. immutable: only the root of that
   * machine, by a step of its own. read-only: a slip cannot remove it, but whoever owns the directory can.
   */
  readonly mode: 'compliance' | 'governance' | 'immutable' | 'read-only';
  /** ISO 8601. Absent: until it is lifted. */
  readonly until?: string;
}

/** A store that locks what is put into it. */
export interface LockingStore extends ObjectStore {
  /** What an object's lock is in truth, asked of the store; undefined: none. */
  lockOf(name: string): Promise<ObjectLock | undefined>;
  /** Locks an object that is there already, as one that a killed run had put but not locked yet. */
  lock(name: string): Promise<void>;
}

/** Binds a wrapped key to what it is for. Unwrapping under another context fails. Values are not secret. */
export type KeyContext = Readonly<Record<string, string>>;

/** The root of trust: KMS, or a local key file. It never gives out its root key. */
export interface KeyService {
  /** Names the current root key version, e.g. `local:3f2a…#1` or a KMS key ARN. Stored beside every wrapped key. */
  readonly rootKeyId: string;
  /** Makes 256 random bits and returns them with their wrapped form. */
  generate(context: KeyContext): Promise<{ plaintext: Buffer; wrapped: Buffer }>;
  wrap(plaintext: Uint8Array, context: KeyContext): Promise<Buffer>;
  /** @throws KeyError HF_KEY_WRONG (other root or context), HF_KEY_DISABLED, HF_KEY_UNAVAILABLE */
  unwrap(wrapped: Uint8Array, context: KeyContext): Promise<Buffer>;
  /** Signs a digest-sized or longer message; used for manifests, seals and certificates. */
  sign(message: Uint8Array): Promise<Signature>;
  /** True only for a signature that a key of this service made over exactly this message. */
  verify(message: Uint8Array, signature: Signature): Promise<boolean>;
  /** The public halves of its signing keys, current and former; written into each store for readers without this service. */
  publicKeys(): Promise<readonly PublicKey[]>;
  /** Of the root key and the signing key that are in use. */
  ages(): Promise<readonly KeyAge[]>;
}

/** What checks signatures: a key service, or public keys alone, where the key service must not be or is gone. */
export interface Trust {
  verify(message: Uint8Array, signature: Signature): Promise<boolean>;
  publicKeys(): Promise<readonly Pick<PublicKey, 'keyId'>[]>;
}

export interface PublicKey {
  readonly algorithm: Signature['algorithm'];
  readonly keyId: string;
  /** SubjectPublicKeyInfo (DER), base64 */
  readonly spki: string;
}

/** For how long a key has been in use. */
export interface KeyAge {
  readonly keyId: string;
  readonly use: 'wrap' | 'sign';
  /** When its current material was made. UTC, ISO 8601. */
  readonly since: string;
  /** The service puts new material behind the same name by itself, every so many days. */
  readonly rotatesEveryDays?: number;
}

export interface Signature {
  readonly algorithm: 'ed25519' | 'ecdsa-p256-sha256';
  readonly keyId: string;
  /** base64 */
  readonly value: string;
}

/**
 * Keys of persons, outside every store that a restore can bring back. `person` is the application's own id as text; the
 * adapter stores only a keyed hash of it.
 */
export interface PersonKeyStore {
  /**
   * Keys for many persons of one tenant, made on first use, in one round trip where the medium allows. An erased person has
   * no entry in the result: their values are dropped from whatever is being written.
   */
  obtain(tenant: string, persons: readonly string[]): Promise<Map<string, PersonKey>>;
  /** Keys by reference, for reading. An erased or unknown reference has no entry. */
  lookup(tenant: string, refs: readonly string[]): Promise<Map<string, PersonKey>>;
  /** What is known of a reference: `live`, `erased` (fenced: no key can be made again), or `unknown` (never made here). */
  state(tenant: string, ref: string): Promise<'live' | 'erased' | 'unknown'>;
}

export interface PersonKey {
  /** Pseudonymous reference that chunks and segments carry: 32 hex digits, no personal data. */
  readonly ref: string;
  /** 256 random bits. */
  readonly key: Buffer;
}

/**
 * R8's hook: runs before a restored database is opened to anyone. The erasure ledger implements it; until a ledger is
 * configured, an empty one does.
 */
export interface ErasureLedger {
  /** Persons of a tenant that were erased, as references. */
  erased(tenant: string): Promise<readonly string[]>;
}

export interface Clock {
  now(): Moment;
}

/** Runs workflows by name: Step Functions, or the local engine over the same definitions. */
export interface Workflows {
  /**
   * Begins an execution and returns how `status` knows it. The same workflow and `id` again begins nothing, and returns the same.
   * @param options.id 1 to 80 letters, digits, `-` and `_`
   */
  start(workflow: string, input: Readonly<Record<string, unknown>>, options: { id: string }): Promise<string>;
  /** undefined: it was never begun here, or so long ago that it is forgotten. */
  status(execution: string): Promise<Execution | undefined>;
}

export interface Execution {
  readonly status: 'running' | 'succeeded' | 'failed';
  /** Of one that failed: what Step Functions calls its error and cause. */
  readonly error?: { readonly error: string; readonly cause: string };
}

/**
 * A clock outside this process that starts what is scheduled, such as EventBridge Scheduler. What is scheduled stands in the
 * database; this is told of it. Putting the same again, or removing what is not there, changes nothing.
 */
export interface Scheduler {
  put(schedule: PlacedSchedule): Promise<void>;
  remove(id: string): Promise<void>;
}

/** What such a clock has to know. */
export interface PlacedSchedule {
  /** Digits: the id in `holdfast.tenant_backup_schedules`. */
  readonly id: string;
  /** Five fields, as core/schedules/cron.ts reads them. */
  readonly cron: string;
  /** IANA name. */
  readonly timeZone: string;
  /** Minutes over which the start may be spread; 0: at once. */
  readonly spread: number;
  readonly enabled: boolean;
  /** What it starts. */
  readonly workflow: string;
  readonly input: Readonly<Record<string, unknown>>;
}

/** Receives progress of long work. Units are bytes or rows, as `unit` says; `total` may be revised while it runs. */
export interface Progress {
  start(label: string, total: number, unit: 'bytes' | 'rows' | 'steps'): void;
  advance(by: number): void;
  done(): void;
}

export const silentProgress: Progress = { start() {}, advance() {}, done() {} };

/** Tells people what happened. Losing a message loses no data: what it says also stands in the catalog. */
export interface Notifier {
  publish(subject: string, message: Readonly<Record<string, unknown>>): Promise<void>;
}

/** Copies of backups that come to be by themselves, or are made when they are asked for. */
export interface Replicas {
  /**
   * How far the copies of these objects are. `none`: there is nowhere to copy to. `late`: not there, long after they were written.
   * @param since when they were written, in milliseconds
   */
  state(names: readonly string[], since: number): Promise<'complete' | 'pending' | 'late' | 'none'>;
}

export type SnapshotKind = 'cluster' | 'instance';

/** A snapshot that the database service made. */
export interface ServiceSnapshot {
  readonly region: string;
  readonly id: string;
  /** ISO 8601; absent while it is being made. */
  readonly createdAt?: string;
  readonly status: string;
}

/** Snapshots of the database service, here and in the other region. */
export interface ServiceSnapshots {
  /** Begins the copy into the other region unless it is there. @returns its status; `none` when there is no other region */
  copy(kind: SnapshotKind, id: string, source: string): Promise<string>;
  /** Those that the workflow made of this database, in both regions; none that a person made, or another installation. */
  list(kind: SnapshotKind, database: string): Promise<ServiceSnapshot[]>;
  remove(kind: SnapshotKind, snapshot: ServiceSnapshot): Promise<void>;
}
