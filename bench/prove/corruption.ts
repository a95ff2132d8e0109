/**
 * Every fault in any byte of a store is found, named by object and bytes, and found before a row is used; and sound backups
 * raise no alarm. The oracle is what the injector wrote down.
 */
import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { HoldfastError } from '../../core/errors.ts';
import type { ObjectStore } from '../../core/ports.ts';
import { Keyring } from '../../core/snapshot/keyring.ts';
import { readSlab } from '../../core/snapshot/readSlab.ts';
import { openStore } from '../../core/snapshot/store.ts';
import type { Manifest } from '../../core/snapshot/types.ts';
import { type ValidationReport, validate } from '../../core/snapshot/validate.ts';
import { type Damage, faults, type Injected } from './corruption/inject.ts';
import { makeWorld, type World } from './corruption/world.ts';
import { type ProveFailure, type ProveOptions, type ProveResult, Random, type Suite } from './suite.ts';

/** A new set of stores after this many cases. */
const PER_WORLD = 40;
/** One case in so many is a control: nothing is damaged, and nothing may be reported. */
const CONTROL = 6;

const suite: Suite = {
  name: 'corruption',
  description: 'faults of every kind in stores, manifests, keys: all caught and named, no false alarm',
  quickCases: 300,
  run,
};
export default suite;

async function run({ cases, seed, log }: ProveOptions): Promise<ProveResult> {
  const failures: ProveFailure[] = [];
  const tried = new Map<string, number>();
  let directory: string | undefined;
  let world: World | undefined;
  try {
    for (let n = 0; n < cases; n++) {
      if (n % PER_WORLD === 0 || !world) {
        if (directory) await rm(directory, { recursive: true });
        directory = await mkdtemp(join(tmpdir(), 'holdfast-corruption-'));
        world = await makeWorld(directory, new Random(seed + n));
        log(`case ${n}: new stores`);
      }
      const random = new Random(seed * 31 + n);
      const isControl = n % CONTROL === 0;
      const message = isControl ? await control(world) : await oneFault(world, random, tried);
      if (isControl) tried.set('control', (tried.get('control') ?? 0) + 1);
      if (message) failures.push({ seed, case: n, message });
    }
  } finally {
    if (directory) await rm(directory, { recursive: true });
  }
  return { cases, failures, facts: { ...Object.fromEntries([...tried].sort()) } };
}

async function control(world: World): Promise<string | undefined> {
  for (const manifest of [world.full, world.incremental, world.tenantFull, world.laterFull]) {
    for (const deep of [false, true]) {
      const report = await validate(world, manifest, { deep });
      if (report.faults.length > 0 || report.extra.length > 0) return `false alarm: ${JSON.stringify(report)}`;
    }
  }
  return readsBack(world, world.full);
}

/** The rows that a reader gets are those that were made, but for the sealed columns of the erased person. */
async function readsBack(world: World, manifest: Manifest): Promise<string | undefined> {
  const reader = await readerOf(world, world.store);
  for (const object of manifest.objects) {
    for (const [ordinal, slab] of object.slabs.entries()) {
      const { sections } = await readSlab(reader, manifest, object, slab);
      for (const { table, data, erased } of sections) {
        const lines = data.toString().split('\n');
        const made = world.rows.get(`${object.name} ${ordinal} ${table}`)!.split('\n');
        const gone = new Set(erased.flatMap(([first, count]) => Array.from({ length: count }, (_, i) => first + i)));
        const wrong = lines.findIndex((line, i) => {
          const [id, title] = made[i]?.split('\t') ?? [];
          return line !== (gone.has(i) ? `${id}\t${title}\t\\N\t\\N` : made[i]);
        });
        if (wrong >= 0 || lines.length !== made.length)
          return `row ${wrong} of ${table} in ${object.name} came back changed`;
      }
    }
  }
  return undefined;
}

async function oneFault(world: World, random: Random, tried: Map<string, number>): Promise<string | undefined> {
  let injected: Injected | undefined;
  // Some faults change nothing where they fall, such as zeroing a zero.
  while (!injected) injected = random.pick(faults)(world, random);
  tried.set(injected.fault, (tried.get(injected.fault) ?? 0) + 1);
  try {
    const quick = await validate(world, injected.backup, { deep: false });
    const deep = await validate(world, injected.backup, { deep: true });
    const problem =
      judge(injected, deep) ??
      (injected.quick ? judge(injected, quick) : undefined) ??
      stray(injected, quick) ??
      (await ranges(world, injected));
    return problem && `${injected.fault}: ${problem}; done: ${JSON.stringify(injected.damage)}`;
  } catch (error) {
    return `${injected.fault}: validation itself failed: ${(error as Error).stack}`;
  } finally {
    injected.undo();
  }
}

/** Every damaged file is named, with a kind that fits, and no sound byte is blamed. */
function judge(injected: Injected, report: ValidationReport): string | undefined {
  if (injected.kinds.includes('extra')) {
    const listed =
      String(report.extra.map(({ object }) => object)) === String(injected.damage.map(({ object }) => object));
    return listed ? stray({ ...injected, damage: [] }, report) : 'an object that no manifest names was not listed';
  }
  for (const damage of injected.damage) {
    const found = report.faults.filter((fault) => names(fault.object, damage.object));
    if (found.length === 0) return `${report.deep ? 'deep' : 'quick'} validation missed ${damage.object}`;
    if (!found.some(({ kind }) => injected.kinds.includes(kind))) return `called ${found.map(({ kind }) => kind)}`;
  }
  return stray(injected, report);
}

function stray(injected: Injected, report: ValidationReport): string | undefined {
  for (const fault of report.faults) {
    const damage = injected.damage.find(({ object }) => names(fault.object, object));
    if (!damage) return `sound object blamed: ${JSON.stringify(fault)}`;
    const { range } = fault;
    if (range && !damage.gone && !touches(damage, range)) return `sound bytes blamed: ${JSON.stringify(fault)}`;
  }
  return undefined;
}

/** A missing manifest is named by its id, because nothing says which folder it was in. */
const names = (reported: string, object: string): boolean =>
  reported === object || (reported.startsWith('manifests/*/') && object.endsWith(reported.slice(11)));

const touches = (damage: Damage, { offset, length }: { offset: number; length: number }): boolean =>
  damage.ranges.some(([from, to]) => from < offset + length && offset < to);

/** Reading by range: a slab with a changed byte is refused, one without is read, and neither takes more than its range. */
async function ranges(world: World, injected: Injected): Promise<string | undefined> {
  const manifest = [world.full, world.incremental, world.tenantFull, world.laterFull].find(
    ({ id }) => id === injected.backup,
  )!;
  let read = 0;
  const counting: ObjectStore = {
    description: world.store.description,
    put: (name, body) => world.store.put(name, body),
    putStream: (name, body) => world.store.putStream(name, body),
    get: async (name, range) => {
      const bytes = await world.store.get(name, range);
      if (name.startsWith('backups/')) read += bytes.length;
      return bytes;
    },
    head: (name) => world.store.head(name),
    list: (prefix) => world.store.list(prefix),
    delete: (name) => world.store.delete(name),
  };
  if (injected.damage.some(({ object }) => !object.startsWith('backups/'))) return undefined;
  const reader = await readerOf(world, counting);
  for (const damage of injected.damage) {
    const object = manifest.objects.find(({ name }) => name === damage.object);
    for (const slab of object?.slabs ?? []) {
      read = 0;
      const refused = await readSlab(reader, manifest, object!, slab).then(
        () => false,
        (error) => {
          if (error instanceof HoldfastError) return true;
          throw error;
        },
      );
      if (refused !== (damage.gone || touches(damage, slab))) return `slab at ${slab.offset}: refused is ${refused}`;
      if (read > slab.length) return `read ${read} bytes for a slab of ${slab.length}`;
    }
  }
  return undefined;
}

async function readerOf(world: World, store: ObjectStore) {
  const { id } = await openStore({ store, keys: world.keys });
  return { store, persons: world.persons, keyring: new Keyring(store, world.keys, id) };
}
