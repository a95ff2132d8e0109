/** Kills, damage, wrong keys, two at once, and what retention may take. */
import { open, readFile, rm, stat, truncate, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { expect, test } from '@jest/globals';
import { KeyFile } from '../../adapters/local/keyFile.ts';
import { openPersonKeys } from '../../adapters/local/personKeyDirectory.ts';
import { backUpFiles, type FileBackupReport } from '../../core/files/backup.ts';
import { checkFiles } from '../../core/files/check.ts';
import { cleanUpFiles } from '../../core/files/cleanup.ts';
import type { FileSource } from '../../core/files/source.ts';
import { openStateReader, stateAt } from '../../core/files/stateAt.ts';
import type { ObjectStore } from '../../core/ports.ts';
import { holdBackup, releaseBackup } from '../../core/snapshot/legalHold.ts';
import { temporaryDirectory } from '../support/temporary.ts';
import { beforeEachFresh, type FilesWorld, type Folder, type Note, worldOn } from './filesWorld.ts';

let folder: Folder;
let world: FilesWorld;
let notes: readonly Note[];
beforeEachFresh(async (fresh) => {
  ({ folder, world, notes } = fresh);
  for (const { path } of notes) await folder.put(path, `sound of ${path}`);
});

const names = async (prefix: string) => {
  const found: string[] = [];
  for await (const { name } of world.ctx.store.list(prefix)) found.push(name);
  return found;
};
const inStore = (name: string) => join(world.ctx.store.directory, name);
const check = (options = {}) => checkFiles(world.ctx, { deep: true, all: true, ...options });

/** Counts readings of the source. */
function watched(source: FileSource): { source: FileSource; reads: string[] } {
  const reads: string[] = [];
  const methods = ['list', 'stat', 'problem', 'write', 'history', 'read'] as const;
  const bound = Object.fromEntries(methods.map((m) => [m, (source[m] as () => unknown).bind(source)]));
  const read: FileSource['read'] = (path, options) => {
    reads.push(path);
    return source.read(path, options);
  };
  return { reads, source: { description: source.description, ...bound, read } as unknown as FileSource };
}

/** A store that dies at its n-th write, as the process would. */
function dying(store: ObjectStore, after: number): ObjectStore {
  let left = after;
  const die = () => {
    if (left-- <= 0) throw new RangeError('killed');
  };
  return {
    description: store.description,
    put: async (name, body) => {
      die();
      await store.put(name, body);
    },
    putStream: async (name, body) => {
      die();
      await store.putStream(name, body);
    },
    get: (name, range) => store.get(name, range),
    head: (name) => store.head(name),
    list: (prefix) => store.list(prefix),
    delete: (name) => store.delete(name),
  };
}

test('killed at any write: no half run, and what was read is not read again', async () => {
  const writes = (await names('')).length;
  let kills = 0;
  for (let after = 2; ; after += 7) {
    const ctx = { ...world.ctx, store: dying(world.ctx.store, after) };
    try {
      await backUpFiles(ctx, [world.set], { noteBytes: 0 });
      break;
    } catch (error) {
      expect((error as Error).message).toBe('killed');
      kills++;
    }
    expect(await names('files/manifests/')).toEqual([]);
  }
  expect(kills).toBeGreaterThan(2);
  expect(writes).toBe(0);
  const { source, reads } = watched(world.set.source);
  await worldOn(world, source).backUp();
  expect(reads).toEqual([]);
  expect(await check()).toMatchObject({ faults: [], files: notes.length });
}, 30_000);

test('a run that goes on after a kill reads at most the pages that were cut short', async () => {
  const { store } = world.ctx;
  const done: string[] = [];
  const killed = dying(store, Number.POSITIVE_INFINITY);
  const { put } = killed;
  killed.put = async (name, body) => {
    if (name.startsWith('files/pages/') && done.length === 2) throw new RangeError('killed');
    if (name.startsWith('files/pages/')) done.push(name.split('/')[2]!);
    await put(name, body);
  };
  await expect(backUpFiles({ ...world.ctx, store: killed }, [world.set], { noteBytes: 0 })).rejects.toThrow('killed');
  expect(done).toHaveLength(2);
  const { source, reads } = watched(world.set.source);
  const { manifest } = await worldOn(world, source).backUp();
  expect(reads.sort()).toEqual(notes.filter((n) => !done.includes(n.tenant)).map((n) => n.path));
  expect(reads.length).toBeGreaterThan(0);
  expect(manifest.totals).toMatchObject({ files: notes.length, stored: 0 });
  expect(await names('files/progress/')).toEqual([]);
}, 30_000);

test('damage anywhere in a content is found, named, and never written to a file', async () => {
  const [one, two, three] = notes as [Note, Note, Note];
  await folder.put(one.path, Buffer.alloc(3 << 20, 7));
  await world.backUp();
  const reader = await openStateReader(world.ctx);
  const state = await stateAt(reader, one.tenant, 'recordings', undefined);
  const object = (n: Note) => {
    const { from } = state.files.find((f) => f.path === n.path)!;
    return inStore('entry' in from ? from.entry.content : '');
  };
  const sound = await readFile(object(one));
  await rm(object(two));
  await truncate(object(three), (await stat(object(three))).size - 1);
  for (const at of [0, 4, 10, 25, Math.floor(sound.length / 2), sound.length - 1]) {
    const file = await open(object(one), 'r+');
    await file.write(Buffer.from([sound[at]! ^ 1]), 0, 1, at);
    await file.close();
    const { faults } = await check();
    expect(faults.map((f) => [f.path, f.code]).sort()).toEqual(
      [
        [one.path, 'HF_FILE_CORRUPT'],
        [two.path, 'HF_OBJECT_MISSING'],
        [three.path, 'HF_FILE_CORRUPT'],
      ].sort(),
    );
    await writeFile(object(one), sound);
  }
  await writeFile(object(one), Buffer.concat([sound.subarray(0, -1), Buffer.from([sound.at(-1)! ^ 1])]));
  for (const { path } of [one, two, three]) await folder.delete(path);
  const report = await world.restore({ tenant: one.tenant });
  expect(report.failed).toMatchObject([{ path: one.path, code: 'HF_FILE_CORRUPT' }]);
  const actions = Object.fromEntries(report.files.map((f) => [f.path, f.action]));
  expect(actions).toMatchObject({ [two.path]: 'lost', [three.path]: 'lost' });
  expect((await folder.state())[one.path]).toBeUndefined();
}, 30_000);

test('a content in the place of another is not taken for it', async () => {
  await world.backUp();
  const [a, b] = await names('files/content/');
  await writeFile(inStore(a!), await readFile(inStore(b!)));
  expect((await check()).faults.map((f) => f.object)).toEqual([a]);
});

test('changed listings and manifests are refused; the next run heals what it can', async () => {
  const { manifest } = await world.backUp();
  const name = `files/manifests/_database/${manifest.id}.json`;
  const text = await readFile(inStore(name), 'utf8');
  await writeFile(inStore(name), text.replace(/"files":(\d+)/, '"files":1$1'));
  await expect(world.restore({ tenant: notes[0]!.tenant })).rejects.toMatchObject({ code: 'HF_MANIFEST_SIGNATURE' });
  expect((await check()).faults).toMatchObject([{ code: 'HF_MANIFEST_SIGNATURE', object: name }]);
  await writeFile(inStore(name), text);
  const [page] = await names('files/pages/');
  const bytes = await readFile(inStore(page!));
  bytes[bytes.length - 5]! ^= 1;
  await writeFile(inStore(page!), bytes);
  expect((await check()).faults).toMatchObject([{ code: 'HF_SLAB_CORRUPT', object: page }]);
  const healed: FileBackupReport = await world.backUp();
  expect(healed.relisted).toMatchObject([{ object: page, code: 'HF_SLAB_CORRUPT' }]);
  expect(await checkFiles(world.ctx, { deep: true })).toMatchObject({ faults: [], files: notes.length });
}, 30_000);

test('another key file, and person keys that were lost', async () => {
  await world.backUp();
  const elsewhere = await temporaryDirectory();
  const keys = await KeyFile.create(join(elsewhere, 'other.key'));
  const wrong = { ...world.ctx, keys };
  await expect(checkFiles(wrong)).rejects.toMatchObject({ code: 'HF_KEY_WRONG' });
  await expect(backUpFiles(wrong, [world.set])).rejects.toMatchObject({ code: 'HF_KEY_WRONG' });
  // Losing the person keys is not the same as erasing everybody.
  const persons = openPersonKeys(join(elsewhere, 'persons'), world.ctx.store, world.ctx.keys);
  const lost = { ...world.ctx, persons };
  expect((await checkFiles(lost)).faults.map((f) => f.code)).toContain('HF_PERSON_KEY_UNKNOWN');
  await expect(
    worldOn({ ...world, ctx: lost }, world.set.source).restore({ tenant: notes[0]!.tenant }),
  ).rejects.toMatchObject({ code: 'HF_PERSON_KEY_UNKNOWN' });
  // A run under new keys seals everything anew, beside what nobody can read any more.
  const { manifest } = await worldOn({ ...world, ctx: lost }, world.set.source).backUp();
  expect(manifest.totals).toMatchObject({ files: notes.length, read: notes.length, stored: notes.length });
  expect(await checkFiles(lost, { deep: true })).toMatchObject({ faults: [] });
}, 30_000);

test('one run at a time, and no cleanup beside one', async () => {
  const { source } = watched(world.set.source);
  let meanwhile: PromiseSettledResult<unknown>[] = [];
  const list = source.list;
  Object.assign(source, {
    async *list() {
      meanwhile = await Promise.allSettled([
        world.backUp(),
        cleanUpFiles(world.ctx, { rules: [] }),
        world.backUp({ tenant: notes[0]!.tenant }),
      ]);
      yield* list();
    },
  });
  await worldOn(world, source).backUp();
  expect(meanwhile).toMatchObject([
    { status: 'rejected', reason: { code: 'HF_FILES_BUSY' } },
    { status: 'rejected', reason: { code: 'HF_FILES_BUSY' } },
    { status: 'fulfilled' },
  ]);
});

test('cleanup takes runs that retention gives up and what only they name, and nothing else', async () => {
  const [one, two] = notes as [Note, Note];
  const first = await world.backUp();
  await folder.put(one.path, 'second');
  const second = await world.backUp();
  await folder.put(two.path, 'second');
  await world.backUp();
  const policy = { rules: [{ daily: 1 }] };
  await holdBackup(world.ctx.store, first.manifest.id, 'a case', '2026-01-01T00:00:00Z');
  const preview = await cleanUpFiles(world.ctx, policy, { preview: true });
  expect(preview.remove.map((r) => r.id)).toEqual([second.manifest.id]);
  expect(await check()).toMatchObject({ faults: [] });
  expect(await cleanUpFiles(world.ctx, policy)).toMatchObject({ remove: preview.remove, objects: preview.objects });
  const held = await check();
  expect(held).toMatchObject({ faults: [], runs: [first.manifest.id, expect.any(String)] });
  await releaseBackup(world.ctx.store, first.manifest.id);
  // What was killed leaves contents that no run names; its notes keep them for the next run.
  await folder.put(one.path, 'third');
  const dies = { ...world.ctx, store: dying(world.ctx.store, 3) };
  await expect(backUpFiles(dies, [world.set], { noteBytes: 0 })).rejects.toThrow('killed');
  await cleanUpFiles(world.ctx, policy);
  expect((await world.backUp()).manifest.totals).toMatchObject({ files: notes.length, stored: 0 });
  await cleanUpFiles(world.ctx, policy);
  expect(await check()).toMatchObject({ faults: [], files: notes.length, contents: notes.length });
  expect(await names('files/content/')).toHaveLength(notes.length);
  // Where a listing cannot be read, nothing may go.
  const [page] = await names('files/pages/');
  await rm(inStore(page!));
  const before = await names('files/');
  await expect(cleanUpFiles(world.ctx, policy)).rejects.toMatchObject({ code: 'HF_OBJECT_MISSING' });
  expect(await names('files/')).toEqual(before);
}, 30_000);

test('settings that name what is not there', async () => {
  const wrong = { ...world.set, column: 'storage_kay' };
  await expect(backUpFiles(world.ctx, [wrong])).rejects.toMatchObject({ code: 'HF_COLUMN_UNKNOWN' });
  await expect(backUpFiles(world.ctx, [{ ...wrong, table: 'public.notes' }])).rejects.toMatchObject({
    code: 'HF_TABLE_UNKNOWN',
  });
  await expect(backUpFiles(world.ctx, [])).rejects.toMatchObject({ code: 'HF_FILES_NONE' });
  expect(await names('')).toEqual([]);
});

test('rows that may be hidden would be files that are not backed up', async () => {
  await world.client.query('alter table public.voice_notes enable row level security, force row level security');
  const role = `files_${world.database.name}`;
  try {
    await world.client.query(`create role ${role} login password 'files' in role pg_read_all_data`);
    await world.client.query(`grant select on all tables in schema public, holdfast to ${role}`);
    const url = new URL(world.database.url);
    [url.username, url.password] = [role, 'files'];
    await expect(backUpFiles({ ...world.ctx, databaseUrl: url.href }, [world.set])).rejects.toMatchObject({
      code: 'HF_ROWS_HIDDEN',
    });
  } finally {
    await world.client.query('alter table public.voice_notes disable row level security, no force row level security');
    await world.client.query(`drop owned by ${role}; drop role ${role}`);
  }
});

test('values with a beginning of their own', async () => {
  await world.client.query(`update public.voice_notes set storage_key = 's3://bucket/' || storage_key`);
  const [other] = notes as [Note];
  await world.client.query(`update public.voice_notes set storage_key = 'elsewhere/x' where id = $1`, [other.id]);
  const { manifest, unowned, missing } = await backUpFiles(world.ctx, [{ ...world.set, strip: 's3://bucket/' }]);
  expect(manifest.totals.files).toBe(notes.length - 1);
  expect(unowned).toMatchObject([{ path: other.path }]);
  expect(missing).toEqual([]);
});
