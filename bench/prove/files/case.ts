/** One case: random changes, runs, kills and erasures; then every moment is asked for. */
import { mkdtemp, readFile, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import type pg from 'pg';
import { DirectoryFiles } from '../../../adapters/local/directoryFiles.ts';
import { backUpFiles } from '../../../core/files/backup.ts';
import { checkFiles } from '../../../core/files/check.ts';
import { cleanUpFiles } from '../../../core/files/cleanup.ts';
import { restoreFiles } from '../../../core/files/restore.ts';
import type { ObjectStore } from '../../../core/ports.ts';
import { makeContext, type World } from '../../../test/snapshot/world.ts';
import type { Random } from '../suite.ts';
import { bucketPlace, folderPlace, MAP, type Place, personsOf, setOn, TENANTS } from './lab.ts';
import { Oracle } from './oracle.ts';

export interface CaseFacts {
  runs: number;
  killed: number;
  answers: number;
  certain: number;
  erased: number;
}

const NAMES = ['x', 'y/z', 'ü 🎙', 'long/'.repeat(20), 'w', 'v', 'u', 't'];
const STEPS = 24;

/** @throws Error with what is wrong */
export async function fileCase(
  lab: { readonly client: pg.Client; readonly url: string },
  random: Random,
  facts: CaseFacts,
): Promise<void> {
  const directory = await mkdtemp(join(tmpdir(), 'holdfast-files-'));
  const place = random.chance(0.5) ? folderPlace(join(directory, 'files')) : await bucketPlace();
  try {
    await lab.client.query('delete from public.uploads');
    const base = await makeContext(directory, lab.url, MAP);
    await new Case(lab.client, { ...base, clock: { now: place.now } }, place, random, facts, directory).run();
  } finally {
    await place.close();
    await rm(directory, { recursive: true, force: true });
  }
}

class Case {
  readonly #client: pg.Client;
  readonly #ctx: World['ctx'];
  readonly #place: Place;
  readonly #random: Random;
  readonly #facts: CaseFacts;
  readonly #directory: string;
  readonly #oracle = new Oracle();
  #count = 0;

  constructor(client: pg.Client, ctx: World['ctx'], place: Place, random: Random, facts: CaseFacts, directory: string) {
    this.#client = client;
    this.#ctx = ctx;
    this.#place = place;
    this.#random = random;
    this.#facts = facts;
    this.#directory = directory;
  }

  async run(): Promise<void> {
    // So that there is a folder to list.
    await this.#place.put('stray', 'no row names this');
    for (let step = 0; step < STEPS; step++) {
      await this.#step(step === STEPS - 1 ? 0.99 : this.#random.next());
      await this.#place.tick();
      this.#oracle.remember(this.#place.now());
      await this.#place.tick();
    }
    const { faults } = await checkFiles(this.#ctx, { all: true, deep: true });
    if (faults.length > 0) throw new Error(`check: ${JSON.stringify(faults[0])}`);
    for (const at of this.#oracle.moments) {
      if (this.#random.chance(0.4)) await this.#ask(this.#random.pick(TENANTS), at);
    }
  }

  async #step(dice: number): Promise<void> {
    const tenant = this.#random.pick(TENANTS);
    const path = `${tenant}/${this.#random.pick(NAMES)}`.replace(/\/$/, '/end');
    if (dice < 0.45) return this.#put(tenant, path);
    if (dice < 0.53) return this.#drop(path);
    if (dice < 0.6) return this.#unown(path);
    if (dice < 0.64) return this.#erase(tenant);
    if (dice < 0.68) {
      if (this.#facts.runs > 0) await cleanUpFiles(this.#ctx, { rules: [{ allForDays: 1000 }] }).catch(ignoreNoStore);
      return;
    }
    if (dice < 0.77) return this.#killed();
    await this.#backUp(dice < 0.85 ? tenant : null);
  }

  /** A new or another content, and a row that names it. Sometimes the owner is another one from now on. */
  async #put(tenant: string, path: string): Promise<void> {
    const { rows, files, erased } = this.#oracle;
    const persons = personsOf(tenant).filter((p) => p === null || !erased.has(p));
    const known = rows.get(path);
    const kept = known && (known.person === null || !erased.has(known.person)) && this.#random.chance(0.8);
    const person = kept ? known.person : this.#random.pick(persons);
    const content = this.#random.chance(0.15) ? this.#random.pick(['', 'the same']) : `content ${++this.#count}`;
    const long = this.#random.chance(0.02) ? content.padEnd(2_500_000, 'long ') : content;
    await this.#place.put(path, long);
    await this.#client.query(
      `insert into public.uploads (path, club_id, owner_id) values ($1, $2, $3)
       on conflict (path) do update set owner_id = excluded.owner_id`,
      [path, tenant, person],
    );
    files.set(path, long);
    rows.set(path, { tenant, person });
  }

  async #drop(path: string): Promise<void> {
    if (!this.#oracle.files.delete(path)) return;
    await this.#place.delete(path);
  }

  async #unown(path: string): Promise<void> {
    this.#oracle.rows.delete(path);
    await this.#client.query('delete from public.uploads where path = $1', [path]);
  }

  async #erase(tenant: string): Promise<void> {
    const person = this.#random.pick(personsOf(tenant));
    if (person === null || this.#oracle.erased.has(person)) return;
    await this.#ctx.persons.erase(tenant, person);
    this.#oracle.erased.add(person);
    this.#facts.erased++;
  }

  async #backUp(tenant: string | null): Promise<void> {
    const options = tenant === null ? {} : { tenant };
    await backUpFiles(this.#ctx, [setOn(this.#place.source)], options);
    this.#oracle.ran(tenant, this.#place.now());
    this.#facts.runs++;
  }

  /** Dies at some write; the next run finds what it left. */
  async #killed(): Promise<void> {
    let left = this.#random.int(8);
    const { store } = this.#ctx;
    const dying = new Proxy(store, {
      get: (_, name: keyof ObjectStore) => {
        const own = store[name];
        if (typeof own !== 'function') return own;
        const bound = (own as (...args: unknown[]) => unknown).bind(store);
        if (name !== 'put' && name !== 'putStream') return bound;
        return (...args: unknown[]) => (left-- > 0 ? bound(...args) : Promise.reject(new RangeError('killed')));
      },
    });
    try {
      await backUpFiles({ ...this.#ctx, store: dying }, [setOn(this.#place.source)], { noteBytes: 0 });
      this.#oracle.ran(null, this.#place.now());
      this.#facts.runs++;
    } catch (error) {
      if (!(error instanceof RangeError)) throw error;
      this.#facts.killed++;
    }
  }

  async #ask(tenant: string, at: bigint): Promise<void> {
    const out = join(this.#directory, `out-${at}-${tenant}`);
    const set = setOn(this.#place.source);
    const target = DirectoryFiles.open(out);
    const report = await restoreFiles(this.#ctx, [{ set, target, inPlace: set }], { tenant, moment: at }).catch(
      (error) => {
        if (error.code === 'HF_FILES_NO_RUN') return undefined;
        throw error;
      },
    );
    if (!report) return;
    const { files, failed } = report;
    if (failed.length > 0) throw new Error(`failed: ${JSON.stringify(failed[0])}`);
    const answers = [];
    for (const { path, certain, action } of files) {
      if (action !== 'create') throw new Error(`${path}: ${action}`);
      answers.push({ path, certain, content: await readFile(join(out, path), 'utf8') });
    }
    this.#facts.answers += answers.length;
    this.#facts.certain += answers.filter(({ certain }) => certain).length;
    const complaints = this.#oracle.complaints(tenant, at, answers, this.#place.versions);
    const where = this.#place.versions ? 'bucket' : 'folder';
    if (complaints.length > 0) throw new Error(`${where}, ${tenant} at ${at}: ${complaints.slice(0, 3).join('; ')}`);
  }
}

const ignoreNoStore = (error: { code?: string }): void => {
  if (error.code !== 'HF_STORE_UNKNOWN') throw error;
};
