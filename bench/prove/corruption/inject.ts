/** Faults, made on the files themselves. What was done is the oracle: which files, which bytes, what it may be called. */
import { randomBytes } from 'node:crypto';
import { mkdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { dirname, join } from 'node:path';
import type { FaultKind } from '../../../core/snapshot/faults.ts';
import type { Manifest, ManifestObject } from '../../../core/snapshot/types.ts';
import type { Random } from '../suite.ts';
import type { World } from './world.ts';

/** `extra`: listed as an object that no manifest names, which is not a fault. */
export type Kind = FaultKind | 'extra';

/** Half-open ranges of one file whose bytes are not what they were. */
export interface Damage {
  readonly object: string;
  readonly ranges: readonly (readonly [number, number])[];
  /** No longer there at all. */
  readonly gone: boolean;
}

export interface Injected {
  readonly fault: string;
  /** The backup to validate. */
  readonly backup: string;
  readonly damage: readonly Damage[];
  /** The kinds that name it rightly. */
  readonly kinds: readonly Kind[];
  /** A quick validation has to see it too. */
  readonly quick: boolean;
  undo(): void;
}

export type Fault = (world: World, random: Random) => Injected | undefined;

/** Changes files, remembers what they were, and works out which bytes differ. */
class Surgery {
  readonly #root: string;
  readonly #before = new Map<string, Buffer | undefined>();

  constructor(world: World) {
    this.#root = world.store.directory;
  }

  read(name: string): Buffer {
    return readFileSync(join(this.#root, name));
  }

  write(name: string, bytes: Buffer | undefined): void {
    const path = join(this.#root, name);
    if (!this.#before.has(name)) this.#before.set(name, readOr(path));
    if (bytes === undefined) {
      rmSync(path);
      return;
    }
    mkdirSync(dirname(path), { recursive: true });
    writeFileSync(path, bytes);
  }

  done(about: Pick<Injected, 'fault' | 'backup' | 'kinds' | 'quick'>): Injected | undefined {
    const damage: Damage[] = [];
    for (const [object, before] of this.#before) {
      const after = readOr(join(this.#root, object));
      if (before && after?.equals(before)) continue;
      damage.push({ object, ranges: differences(before ?? Buffer.alloc(0), after ?? Buffer.alloc(0)), gone: !after });
    }
    const undo = () => {
      for (const [name, bytes] of this.#before) {
        if (bytes) writeFileSync(join(this.#root, name), bytes);
        else rmSync(join(this.#root, name));
      }
    };
    return damage.length > 0 ? { ...about, damage, undo } : undefined;
  }
}

function readOr(path: string): Buffer | undefined {
  try {
    return readFileSync(path);
  } catch {
    return undefined;
  }
}

function differences(before: Buffer, after: Buffer): [number, number][] {
  const ranges: [number, number][] = [];
  const end = Math.max(before.length, after.length);
  for (let at = 0; at < end; at++) {
    if (before[at] === after[at]) continue;
    const last = ranges.at(-1);
    if (last?.[1] === at) last[1] = at + 1;
    else ranges.push([at, at + 1]);
  }
  return ranges;
}

const manifestOf = ({ tenant, id }: Manifest): string => `manifests/${tenant ?? '_database'}/${id}.json`;
const anyBackup = (world: World, random: Random): Manifest =>
  random.pick([world.full, world.incremental, world.tenantFull, world.laterFull]);
const anyObject = (manifest: Manifest, random: Random): ManifestObject => random.pick(manifest.objects);
const shape = (quick: boolean, ...kinds: Kind[]) => ({ quick, kinds });

function onObject(
  fault: string,
  expect: { quick: boolean; kinds: Kind[] },
  change: (
    bytes: Buffer,
    random: Random,
    object: ManifestObject,
    world: World,
    manifest: Manifest,
  ) => Buffer | undefined,
): Fault {
  return (world, random) => {
    const manifest = anyBackup(world, random);
    const object = anyObject(manifest, random);
    const surgery = new Surgery(world);
    const changed = change(surgery.read(object.name), random, object, world, manifest);
    if (changed) surgery.write(object.name, changed);
    return surgery.done({ fault, backup: manifest.id, ...expect });
  };
}

function onManifest(
  fault: string,
  expect: { quick: boolean; kinds: Kind[] },
  change: (bytes: Buffer, random: Random, manifest: Manifest, world: World) => Buffer | undefined,
): Fault {
  return (world, random) => {
    const manifest = anyBackup(world, random);
    const surgery = new Surgery(world);
    surgery.write(manifestOf(manifest), change(surgery.read(manifestOf(manifest)), random, manifest, world));
    return surgery.done({ fault, backup: manifest.id, ...expect });
  };
}

const flip = (bytes: Buffer, random: Random): Buffer => {
  const at = random.int(bytes.length);
  bytes[at] = bytes[at]! ^ (1 << random.int(8));
  return bytes;
};
const cut = (bytes: Buffer, random: Random): Buffer => bytes.subarray(0, random.int(bytes.length));
const zero = (bytes: Buffer, random: Random): Buffer => {
  const at = random.int(bytes.length);
  return bytes.fill(0, at, Math.min(bytes.length, at + 1 + random.int(4096)));
};

/** Offsets of the frames of a slab, from the document alone: word, ciphertext, tag; the top bit marks the last. */
function framesOf(bytes: Buffer, offset: number): { from: number; to: number }[] {
  const frames: { from: number; to: number }[] = [];
  for (let at = offset + 20, last = false; !last; ) {
    const word = bytes.readUInt32BE(at);
    last = word >= 0x80000000;
    const to = at + 4 + (word & 0x7fffffff) + 16;
    frames.push({ from: at, to });
    at = to;
  }
  return frames;
}

/** A slab of several frames, in the chunk where the world has one. */
function bigSlab(object: ManifestObject, bytes: Buffer) {
  const slab = object.slabs[0]!;
  const frames = framesOf(bytes, slab.offset);
  return frames.length > 1 ? { slab, frames } : undefined;
}

function onBigSlab(fault: string, change: (bytes: Buffer, frames: { from: number; to: number }[]) => Buffer): Fault {
  return (world, random) => {
    const manifest = random.pick([world.full, world.tenantFull, world.laterFull]);
    const object = manifest.objects.find(({ name }) => name.includes('chunk-00002'))!;
    const surgery = new Surgery(world);
    const bytes = surgery.read(object.name);
    const big = bigSlab(object, bytes);
    if (big) surgery.write(object.name, change(bytes, big.frames));
    return surgery.done({ fault, backup: manifest.id, ...shape(false, 'corrupt', 'extended') });
  };
}

const splice = (bytes: Buffer, pieces: readonly (readonly [number, number])[]): Buffer =>
  Buffer.concat(pieces.map(([from, to]) => bytes.subarray(from, to)));

/** Every kind of fault, each tried about equally often. */
export const faults: readonly Fault[] = [
  onObject('bit flipped in an object', shape(false, 'corrupt'), flip),
  onObject('object truncated', shape(true, 'truncated', 'corrupt'), cut),
  onObject('object extended', shape(true, 'extended'), (bytes, random) =>
    Buffer.concat([bytes, randomBytes(1 + random.int(5000))]),
  ),
  onObject('object extended with its own head', shape(true, 'extended'), (bytes, random) =>
    Buffer.concat([bytes, bytes.subarray(0, 1 + random.int(bytes.length))]),
  ),
  onObject('block zeroed', shape(false, 'corrupt'), zero),
  onObject('two slabs swapped', shape(false, 'swapped', 'corrupt'), (bytes, random, { slabs }) => {
    if (slabs.length < 2) return undefined;
    const i = random.int(slabs.length - 1);
    const [a, b] = [slabs[i]!, slabs[i + 1]!];
    const [from, middle, to] = [a.offset, b.offset, b.offset + b.length];
    return splice(bytes, [
      [0, from],
      [middle, to],
      [from, middle],
      [to, bytes.length],
    ]);
  }),
  onObject(
    'object of another backup under this name',
    shape(false, 'foreign', 'swapped'),
    (_, __, object, world, own) => {
      const other = own === world.full ? world.laterFull : world.full;
      const twin = other.objects.find(({ kind }) => kind === object.kind)!;
      return readFileSync(join(world.store.directory, twin.name));
    },
  ),
  onObject(
    'slab of another tenant in this place',
    shape(false, 'swapped', 'corrupt', 'truncated', 'extended'),
    (bytes, random, { slabs }) => {
      if (slabs.length < 2) return undefined;
      const [a, b] = [slabs[0]!, slabs[1 + random.int(slabs.length - 1)]!];
      const other = bytes.subarray(b.offset, b.offset + b.length);
      return Buffer.concat([other, bytes.subarray(a.offset + a.length)]);
    },
  ),
  (world, random) => {
    const manifest = random.pick([world.full, world.incremental]);
    const object = anyObject(manifest, random);
    const surgery = new Surgery(world);
    surgery.write(object.name, readFileSync(join(world.twin.directory, object.name)));
    const expect = shape(false, 'foreign', 'corrupt', 'truncated', 'extended');
    return surgery.done({ fault: 'object of another store under this name', backup: manifest.id, ...expect });
  },
  (world, random) => {
    const manifest = anyBackup(world, random);
    const a = random.int(manifest.objects.length);
    const b = (a + 1 + random.int(manifest.objects.length - 1)) % manifest.objects.length;
    const names = [manifest.objects[a]!.name, manifest.objects[b]!.name] as const;
    const surgery = new Surgery(world);
    const [one, two] = names.map((name) => surgery.read(name));
    surgery.write(names[0], two);
    surgery.write(names[1], one);
    return surgery.done({ fault: 'two objects swapped', backup: manifest.id, ...shape(false, 'swapped') });
  },
  (world, random) => {
    const manifest = anyBackup(world, random);
    const surgery = new Surgery(world);
    surgery.write(anyObject(manifest, random).name, undefined);
    return surgery.done({ fault: 'object deleted', backup: manifest.id, ...shape(true, 'missing') });
  },
  (world, random) => {
    const manifest = anyBackup(world, random);
    const surgery = new Surgery(world);
    surgery.write(`backups/${manifest.id}/chunk-09999.hf`, randomBytes(1 + random.int(100)));
    return surgery.done({ fault: 'object that nobody wrote', backup: manifest.id, ...shape(true, 'extra') });
  },
  onBigSlab('two frames swapped', (bytes, [a, b]) =>
    splice(bytes, [
      [0, a!.from],
      [b!.from, b!.to],
      [a!.from, a!.to],
      [b!.to, bytes.length],
    ]),
  ),
  onBigSlab('frame repeated', (bytes, [a]) =>
    splice(bytes, [
      [0, a!.to],
      [a!.from, bytes.length],
    ]),
  ),
  onBigSlab('frame left out, size kept', (bytes, [a, b]) =>
    Buffer.concat([splice(bytes, [[0, a!.from]]), bytes.subarray(b!.from), Buffer.alloc(a!.to - a!.from)]),
  ),
  onBigSlab('frame marked as the last', (bytes, [a]) => {
    bytes[a!.from] = bytes[a!.from]! | 0x80;
    return bytes;
  }),
  onManifest('bit flipped in a manifest', shape(true, 'corrupt', 'signature', 'version', 'foreign'), flip),
  onManifest('manifest truncated', shape(true, 'corrupt'), cut),
  onManifest('block of a manifest zeroed', shape(true, 'corrupt'), zero),
  onManifest('manifest deleted', shape(true, 'missing'), () => undefined),
  onManifest('manifest of an unknown version', shape(true, 'version'), (bytes, random) =>
    Buffer.from(bytes.toString().replace(/"version":1}\n$/, `"version":${2 + random.int(9)}}\n`)),
  ),
  onManifest('manifest field edited', shape(true, 'signature', 'foreign', 'corrupt'), (bytes, random) => {
    const edits = [
      ['"horizon":"2026', '"horizon":"2036'],
      ['"log":{"from":"', '"log":{"from":"1'],
      ['"public.entries"', '"public.ENTRIES"'],
      ['"excluded":[]', '"excluded":["public.tags"]'],
      ['"type":"', '"type":"differential","was":"'],
      ['"store":"', '"store":"0'],
      ['"epoch":"0', '"epoch":"1'],
      ['"tenantKey":"00001"', '"tenantKey":"00002"'],
    ] as const;
    const [from, to] = random.pick(edits);
    return Buffer.from(bytes.toString().replace(from, to));
  }),
  (world) => {
    const surgery = new Surgery(world);
    surgery.write(manifestOf(world.incremental), surgery.read(manifestOf(world.full)));
    const about = { fault: 'older manifest under a newer name', backup: world.incremental.id };
    return surgery.done({ ...about, ...shape(true, 'foreign') });
  },
  (world, random) => {
    const manifest = random.pick([world.full, world.incremental]);
    const surgery = new Surgery(world);
    surgery.write(manifestOf(manifest), readFileSync(join(world.twin.directory, manifestOf(manifest))));
    const about = { fault: 'manifest of another store', backup: manifest.id };
    return surgery.done({ ...about, ...shape(true, 'foreign') });
  },
  (world) => {
    const surgery = new Surgery(world);
    surgery.write(manifestOf(world.full), undefined);
    const about = { fault: 'base of an incremental deleted', backup: world.incremental.id };
    return surgery.done({ ...about, ...shape(true, 'missing') });
  },
  (world, random) => {
    const surgery = new Surgery(world);
    const name = 'keys/acme/00001.json';
    const way = random.pick(['flip', 'cut', 'delete', 'twin', 'other tenant'] as const);
    const bytes = surgery.read(name);
    if (way === 'flip') surgery.write(name, flip(bytes, random));
    if (way === 'cut') surgery.write(name, cut(bytes, random));
    if (way === 'delete') surgery.write(name, undefined);
    if (way === 'twin') surgery.write(name, readFileSync(join(world.twin.directory, name)));
    if (way === 'other tenant') surgery.write(name, surgery.read('keys/_shared/00001.json'));
    const backup = anyBackup(world, random).id;
    const expect = shape(true, 'corrupt', 'missing', 'foreign', 'key', 'version');
    return surgery.done({ fault: `tenant key: ${way}`, backup, ...expect });
  },
];
