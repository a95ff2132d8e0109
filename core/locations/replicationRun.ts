/** The steps of one replication, and what they found. */
import { type HoldfastError, IntegrityError, isCode } from '../errors.ts';
import { inParallel } from '../restore/inParallel.ts';
import { checkManifest, type ManifestRef } from '../snapshot/manifest.ts';
import { pairs } from './compare.ts';
import { type CopiedBackup, copyBackup, differs } from './copyBackup.ts';
import { readFrom } from './copyObject.ts';
import { checkDocument } from './document.ts';
import { faultOf } from './faultOf.ts';
import type { DocumentFault, ManifestFacts, Replication, ReplicationReport, Withheld } from './replicate.ts';

/** Documents under way at once: they are small, and a store answers many requests. */
const AT_ONCE = 8;

export class ReplicationRun {
  readonly #job: Replication;
  readonly #storeId: string;
  /** Sizes of the target's manifests, by name. */
  readonly #listed: ReadonlyMap<string, number>;
  /** Backups that the target has whole, as far as this run knows. */
  readonly #whole: Set<string>;
  /** Names of the tenant keys that the target has, as far as they are not in doubt. */
  readonly #keys = new Set<string>();
  readonly #copied: CopiedBackup[] = [];
  readonly #withheld: Withheld[] = [];
  readonly #faults: DocumentFault[] = [];
  #documents = 0;
  #unproven = 0;

  constructor(job: Replication, storeId: string, targets: readonly ManifestRef[]) {
    this.#job = job;
    this.#storeId = storeId;
    this.#listed = new Map(targets.map(({ name, size }) => [name, size]));
    this.#whole = new Set(targets.map(({ id }) => id));
  }

  report(): Pick<ReplicationReport, 'copied' | 'documents' | 'unproven' | 'bytes' | 'withheld' | 'faults'> {
    return {
      copied: this.#copied,
      documents: this.#documents,
      unproven: this.#unproven,
      bytes: this.#copied.reduce((sum, { bytes }) => sum + bytes, 0),
      withheld: this.#withheld,
      faults: this.#faults,
    };
  }

  /** Copies the documents of a folder that the target lacks. */
  async documents(folder: string): Promise<void> {
    const { source, target, documents = () => true } = this.#job;
    const missing: string[] = [];
    for await (const pair of pairs(source, target, folder)) {
      if (pair.source === undefined || !documents(pair.name)) continue;
      if (pair.target === undefined) missing.push(pair.name);
      // A hold that was lifted and set again tells of another reason; that it is held is the same.
      else if (pair.target !== pair.source && folder !== 'holds/') this.#fault(pair.name, differs(target, pair.name));
      else if (folder === 'keys/') this.#keys.add(pair.name);
    }
    await inParallel(missing, AT_ONCE, async (name) => {
      try {
        await this.#document(name);
      } catch (error) {
        this.#fault(name, await faultOf(this.#job.source, error));
      }
    });
  }

  async #document(name: string): Promise<void> {
    const { source, target, trust, keys } = this.#job;
    const bytes = await readFrom(source, name);
    const proven = await checkDocument({ store: source, storeId: this.#storeId, trust, keys }, name, bytes);
    try {
      await target.put(name, bytes);
    } catch (error) {
      if (!isCode(error, 'HF_OBJECT_EXISTS')) throw error;
      if (!(await target.get(name)).equals(bytes)) throw differs(target, name, error); // else another run was first
    }
    this.#documents++;
    if (name.startsWith('keys/')) this.#keys.add(name);
    if (!proven) this.#unproven++;
  }

  #fault(object: string, { code, message }: HoldfastError): void {
    this.#faults.push({ object, code, message });
  }

  /** Backups of the source that the target has not, or not whole, in order of time. */
  async lacking(sources: readonly ManifestRef[]): Promise<ManifestRef[]> {
    const { source, target } = this.#job;
    const incomplete = new Set<string>();
    for await (const pair of pairs(source, target, 'backups/')) {
      if (pair.source !== undefined && pair.target !== pair.source) incomplete.add(pair.name.split('/')[1]!);
    }
    return sources.filter((ref) => {
      const size = this.#listed.get(ref.name);
      if (size !== undefined && size !== ref.size) this.#withhold(ref.id, differs(target, ref.name));
      return size === undefined || (size === ref.size && incomplete.has(ref.id));
    });
  }

  /** What their manifests say, of those that hold; the others are withheld. */
  async facts(refs: readonly ManifestRef[]): Promise<Map<string, ManifestFacts>> {
    const facts = new Map<string, ManifestFacts>();
    await inParallel(refs, AT_ONCE, async (ref) => {
      try {
        const bytes = await readFrom(this.#job.source, ref.name);
        const { id, tenant, type, parent, finishedAt, horizon, log, consistentFrom, totals } = await checkManifest(
          this.#job.trust,
          bytes,
          ref.name,
          this.#storeId,
        );
        const few = { id, tenant, type, parent, finishedAt, horizon, log, totals };
        facts.set(id, consistentFrom === undefined ? few : { ...few, consistentFrom });
      } catch (error) {
        await this.#withholdFor(ref, error);
      }
    });
    return facts;
  }

  /** Copies one backup, or withholds it. */
  async backup(ref: ManifestRef, { type, parent }: ManifestFacts): Promise<void> {
    const { source, target, trust, progress } = this.#job;
    try {
      if (type !== 'full' && (parent === null || !this.#whole.has(parent))) throw this.#chain(ref.id, parent);
      const copy = {
        source,
        target,
        trust,
        storeId: this.#storeId,
        keys: this.#keys,
        advance: (bytes: number) => progress?.advance(bytes),
      };
      const listed = this.#listed.has(ref.name);
      const copied = await copyBackup(copy, ref, listed);
      // A listed one that lacked nothing: the source has leftovers of a killed run in its folder.
      if (!listed || copied.objects > 0) this.#copied.push(copied);
      this.#whole.add(ref.id);
    } catch (error) {
      await this.#withholdFor(ref, error);
    }
  }

  async #withholdFor(ref: ManifestRef, error: unknown): Promise<void> {
    const fault = await faultOf(this.#job.source, error);
    // Retention may have removed it while this ran.
    if (fault.code === 'HF_OBJECT_MISSING' && !(await this.#job.source.head(ref.name))) return;
    this.#withhold(ref.id, fault);
  }

  #withhold(id: string, { code, message }: HoldfastError): void {
    this.#whole.delete(id);
    this.#withheld.push({ id, code, message });
  }

  #chain(id: string, parent: string | null): IntegrityError {
    return new IntegrityError(
      'HF_REPLICA_CHAIN',
      `${id} continues ${parent ?? 'nothing'}, which is not whole in ${this.#job.target.description}.`,
      {
        action: 'See why that one was not copied; a full backup begins a new chain.',
        details: { backup: id, parent },
      },
    );
  }
}
