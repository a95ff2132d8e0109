/** One run of a backup: the objects it writes, the keys it uses, the verification of each object as soon as it is there. */
import { createHash } from 'node:crypto';
import type { Context } from '../context.ts';
import { IntegrityError } from '../errors.ts';
import type { ArenaPool } from './arena.ts';
import type { Keyring } from './keyring.ts';
import type { Part } from './parts.ts';
import { SealThread } from './sealThread.ts';
import { type ObjectAbout, writePart } from './slabs.ts';
import { backupFolder, objectName } from './store.ts';
import type { Manifest, ManifestObject } from './types.ts';

/** Bytes read at once when an object is verified. */
const PIECE = 8 << 20;

export class BackupRun {
  readonly id: string;
  readonly #ctx: Context;
  readonly #keyring: Keyring;
  readonly #arenas: ArenaPool;
  readonly #keys = new Map<string, Promise<{ key: Buffer; entry: Manifest['keys'][string] }>>();
  readonly #entries = new Map<string, Manifest['keys'][string]>();
  readonly #thread = new SealThread();
  readonly #mark: string | undefined;
  #number = 0;
  #writing: Promise<unknown> = Promise.resolve();
  #failure: { error: unknown } | undefined;
  /** Milliseconds spent reading back. */
  verifying = 0;

  /** @param mark keeps the names of its objects apart from those of others who work on the same backup at this time */
  constructor(ctx: Context, id: string, keyring: Keyring, arenas: ArenaPool, mark?: string) {
    this.id = id;
    this.#mark = mark;
    this.#ctx = ctx;
    this.#keyring = keyring;
    this.#arenas = arenas;
  }

  /** Goes on after the objects that an earlier attempt left: names are never used twice. */
  async skipTakenNames(): Promise<void> {
    for await (const { name } of this.#ctx.store.list(backupFolder(this.id))) {
      this.#number = Math.max(this.#number, Number(/-(\d+)\.hf$/.exec(name)?.[1] ?? 0));
    }
  }

  /** Keys that others used for this backup. */
  reuseKeys(entries: Manifest['keys']): void {
    for (const [tenant, entry] of Object.entries(entries)) this.#entries.set(tenant, entry);
  }

  /** Entries of all keys used, for the manifest. */
  get keyEntries(): Manifest['keys'] {
    return Object.fromEntries([...this.#entries].sort(([a], [b]) => (a < b ? -1 : 1)));
  }

  entriesOf(objects: readonly ManifestObject[]): Manifest['keys'] {
    const tenants = new Set(objects.flatMap((object) => object.slabs.map((slab) => slab.tenant)));
    return Object.fromEntries([...tenants].sort().map((tenant) => [tenant, this.#entries.get(tenant)!]));
  }

  backupKey(tenant: string): Promise<Buffer> {
    let key = this.#keys.get(tenant);
    if (!key) {
      key = this.#keyring.newBackupKey(this.id, tenant);
      this.#keys.set(tenant, key);
    }
    return key.then(({ key, entry }) => {
      this.#entries.set(tenant, entry);
      return key;
    });
  }

  nextName(kind: ManifestObject['kind']): ObjectAbout {
    return { backup: this.id, kind, name: objectName(this.id, kind, ++this.#number, this.#mark) };
  }

  /** Writes parts one after the other while the next ones are read; the pool of arenas limits how far reading runs ahead. */
  write(kind: 'chunk' | 'log', part: Part, done: (object: ManifestObject) => void): void {
    const about = this.nextName(kind);
    this.#writing = this.#writing.then(async () => {
      try {
        if (this.#failure) return;
        const object = await writePart(this.#sealing, about, part);
        await this.verify(object);
        done(object);
      } catch (error) {
        this.#failure ??= { error };
      } finally {
        this.#arenas.release(part.arena);
      }
    });
  }

  get #sealing() {
    const { store, persons } = this.#ctx;
    return { store, persons, backupKey: (tenant: string) => this.backupKey(tenant), thread: this.#thread };
  }

  /** Runs `work` after everything written so far, without holding up the reader. */
  afterwards(work: () => Promise<void>): void {
    this.#writing = this.#writing.then(async () => {
      if (this.#failure) return;
      await work().catch((error) => {
        this.#failure ??= { error };
      });
    });
  }

  /** @throws what writing threw */
  check(): void {
    if (this.#failure) throw this.#failure.error;
  }

  async settled(): Promise<void> {
    await this.#writing;
    this.check();
  }

  /** To be called when the run is over, also when it failed: without throwing, it leaves nothing running. */
  async close(): Promise<void> {
    this.#failure ??= { error: new Error('closed') };
    await this.#writing;
    await this.#thread.close();
  }

  /** Reads an object back and compares size and SHA-256. @throws IntegrityError HF_OBJECT_CORRUPT */
  async verify(object: ManifestObject): Promise<void> {
    const began = performance.now();
    const hash = createHash('sha256');
    for (let offset = 0; offset < object.size; offset += PIECE) {
      const length = Math.min(PIECE, object.size - offset);
      hash.update(await this.#ctx.store.get(object.name, { offset, length }));
    }
    const got = hash.digest('hex');
    this.verifying += performance.now() - began;
    if (got === object.sha256) return;
    throw new IntegrityError('HF_OBJECT_CORRUPT', `${object.name} reads back other bytes than were written.`, {
      action: 'Check the disk or the network path to the store, then run the backup again.',
      details: { object: object.name, expected: object.sha256, got },
    });
  }
}
