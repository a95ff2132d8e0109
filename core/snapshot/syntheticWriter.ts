/** Writes the objects of a synthetic full: each slab read, folded, sealed anew, and read back. */
import { createHash } from 'node:crypto';
import type { Context } from '../context.ts';
import { IntegrityError } from '../errors.ts';
import type { Chain } from '../restore/chain.ts';
import { ObjectWriter } from './container.ts';
import { Keyring } from './keyring.ts';
import type { ChunkDone } from './progress.ts';
import { readSplitSlab, type SlabReader } from './readSlab.ts';
import { sealSlab } from './slab.ts';
import { backupFolder, objectName, openStore } from './store.ts';
import { type Folded, foldLogs } from './syntheticLog.ts';
import type { Piece, Unit } from './syntheticPlan.ts';
import { SlabBuilder, type SlabRows } from './syntheticSlab.ts';
import type { FoldTable } from './syntheticTables.ts';
import { type Manifest, type ManifestObject, SHARED } from './types.ts';

export interface WriterOptions {
  readonly id: string;
  readonly reader: SlabReader;
  readonly chain: Chain;
  readonly tables: ReadonlyMap<string, FoldTable>;
  /** null: the whole database. */
  readonly tenant: string | null;
}

/** Bytes read at once when an object is read back. */
const PIECE = 8 << 20;

export class SyntheticWriter {
  readonly #ctx: Context;
  readonly #options: WriterOptions;
  readonly #snapshot: string;
  readonly #entries = new Map<string, Manifest['keys'][string]>();
  readonly #keys = new Map<string, Buffer>();
  #keyring: Keyring | undefined;
  #number = 0;
  /** The log of the tenant and share that was folded last: units of a big tenant follow each other. */
  #folded: { readonly of: string; readonly folded: Folded } | undefined;

  constructor(ctx: Context, options: WriterOptions) {
    this.#ctx = ctx;
    this.#options = options;
    this.#snapshot = options.chain.logs.at(-1)!.log.to;
  }

  /** Takes over what a killed run has finished: its keys, and names that must not be used again. */
  async resume(done: readonly ChunkDone[]): Promise<void> {
    const { id } = this.#options;
    const keyring = await this.#ring();
    for (const { keys, objects } of done) {
      for (const [tenant, entry] of Object.entries(keys)) {
        if (this.#keys.has(tenant)) continue;
        this.#keys.set(tenant, await keyring.unwrapBackupKey(id, tenant, entry));
        this.#entries.set(tenant, entry);
      }
      for (const object of objects) await this.#verify(object);
    }
    for await (const { name } of this.#ctx.store.list(backupFolder(id))) {
      this.#number = Math.max(this.#number, Number(/-(\d+)\.hf$/.exec(name)?.[1] ?? 0));
    }
  }

  get keyEntries(): Manifest['keys'] {
    return Object.fromEntries([...this.#entries].sort(([a], [b]) => (a < b ? -1 : 1)));
  }

  /** One object, or none when nothing of the unit is left. */
  async unit(unit: Unit) {
    const object = new LazyObject(this.#ctx, objectName(this.#options.id, 'chunk', ++this.#number), this.#snapshot);
    let matched = 0;
    let partial = 0;
    let rawBytes = 0;
    try {
      for (const piece of unit.pieces) {
        const folded = await this.#logOf(piece);
        for (const ref of piece.slabs) {
          const builder = new SlabBuilder(this.#options.tables, piece.share);
          const slab = await readSplitSlab(this.#options.reader, ref.manifest, ref.object, ref.slab);
          builder.takeBase(slab, folded, this.#takesTenantTables(piece));
          matched += builder.matched;
          rawBytes += await this.#add(object, piece.tenant, builder.finish());
        }
        if (!piece.last) continue;
        partial += partialOf(folded);
        const persons = SlabBuilder.persons(folded, this.#options.tables);
        const builder = new SlabBuilder(this.#options.tables, piece.share);
        builder.takeNew(folded, await this.#options.reader.persons.obtain(piece.tenant, persons));
        rawBytes += await this.#add(object, piece.tenant, builder.finish());
      }
      const written = await object.finish();
      if (written) await this.#verify(written);
      const objects = written ? [written] : [];
      const tenants = new Set(objects.flatMap((o) => o.slabs.map((s) => s.tenant)));
      const keys = Object.fromEntries([...tenants].sort().map((t) => [t, this.#entries.get(t)!]));
      return { objects, keys, rawBytes, matched, partial };
    } catch (error) {
      await object.abort(error);
      throw error;
    }
  }

  /** The schema and the sequences of the last backup, sealed for this one. */
  async schema(): Promise<ManifestObject> {
    const last = this.#options.chain.logs.at(-1)!;
    const from = last.objects.find((o) => o.kind === 'schema')!; // the schema was read from it before anything was folded
    const name = objectName(this.#options.id, 'schema', ++this.#number);
    const { sections } = await readSplitSlab(this.#options.reader, last, from, from.slabs[0]!);
    const whole = sections.map(({ table, columns, sealed, rows, open }) => {
      return { table, columns, sealed, rows, runs: [[-1, rows]] as const, open };
    });
    const place = { backup: this.#options.id, tenant: SHARED, object: name, ordinal: 0, snapshot: this.#snapshot };
    const bytes = await sealSlab({ ...place, sections: whole, persons: [] }, await this.#key(SHARED));
    const writer = new ObjectWriter(this.#ctx.store, { name, kind: 'schema', snapshot: this.#snapshot });
    try {
      await writer.add({ tenant: SHARED, rows: { ...from.slabs[0]!.rows } }, bytes);
      const object = await writer.finish();
      await this.#verify(object);
      return object;
    } catch (error) {
      await writer.abort(error);
      throw error;
    }
  }

  /** Rows of a tenant table that belong to no tenant are not part of one tenant. */
  #takesTenantTables(piece: Piece): boolean {
    return this.#options.tenant === null || piece.tenant !== SHARED;
  }

  async #logOf(piece: Piece): Promise<Folded> {
    const of = JSON.stringify([piece.tenant, piece.share]);
    if (this.#folded?.of === of) return this.#folded.folded;
    this.#folded = undefined; // before the next one is made: two would be twice the memory
    const { reader, chain, tables } = this.#options;
    const own = this.#takesTenantTables(piece) ? tables : new Map([...tables].filter(([, t]) => !t.tenant));
    const folded = await foldLogs(reader, chain, piece.tenant, own, piece.share);
    this.#folded = { of, folded };
    return folded;
  }

  async #add(object: LazyObject, tenant: string, content: SlabRows | undefined): Promise<number> {
    if (!content) return 0;
    const { sections, persons, rows, bytes } = content;
    const place = {
      backup: this.#options.id,
      tenant,
      object: object.name,
      ordinal: object.slabs,
      snapshot: this.#snapshot,
    };
    const sealed = await sealSlab({ ...place, sections, persons }, await this.#key(tenant));
    await object.add({ tenant, rows }, sealed);
    return bytes;
  }

  async #key(tenant: string): Promise<Buffer> {
    const known = this.#keys.get(tenant);
    if (known) return known;
    const { key, entry } = await (await this.#ring()).newBackupKey(this.#options.id, tenant);
    this.#keys.set(tenant, key);
    this.#entries.set(tenant, entry);
    return key;
  }

  async #ring(): Promise<Keyring> {
    this.#keyring ??= new Keyring(this.#ctx.store, this.#ctx.keys, (await openStore(this.#ctx)).id);
    return this.#keyring;
  }

  /** Reads an object back. @throws IntegrityError HF_OBJECT_CORRUPT */
  async #verify(object: ManifestObject): Promise<void> {
    const hash = createHash('sha256');
    for (let offset = 0; offset < object.size; offset += PIECE) {
      const length = Math.min(PIECE, object.size - offset);
      hash.update(await this.#ctx.store.get(object.name, { offset, length }));
    }
    const got = hash.digest('hex');
    if (got === object.sha256) return;
    throw new IntegrityError('HF_OBJECT_CORRUPT', `${object.name} reads back other bytes than were written.`, {
      action: 'Check the disk or the network path to the store, then run this again.',
      details: { object: object.name, expected: object.sha256, got },
    });
  }
}

/** Records of which the log knows a part only: each must be found in the base. */
function partialOf(folded: Folded): number {
  let count = 0;
  for (const records of folded.values())
    for (const { state } of records.values()) if (state.kind === 'partial') count += 1;
  return count;
}

/** An object that is begun with its first slab: a unit of which nothing is left leaves no object. */
class LazyObject {
  readonly name: string;
  slabs = 0;
  readonly #ctx: Context;
  readonly #snapshot: string;
  #writer: ObjectWriter | undefined;

  constructor(ctx: Context, name: string, snapshot: string) {
    this.#ctx = ctx;
    this.name = name;
    this.#snapshot = snapshot;
  }

  async add(about: { tenant: string; rows: Readonly<Record<string, number>> }, bytes: Buffer): Promise<void> {
    this.#writer ??= new ObjectWriter(this.#ctx.store, { name: this.name, kind: 'chunk', snapshot: this.#snapshot });
    this.slabs += 1;
    await this.#writer.add(about, bytes);
  }

  async finish(): Promise<ManifestObject | undefined> {
    return this.#writer?.finish();
  }

  async abort(reason: unknown): Promise<void> {
    await this.#writer?.abort(reason);
  }
}
