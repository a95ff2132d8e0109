/** What a run reads, stores, seals and reports. */
import { randomBytes } from 'node:crypto';
import { expect, test } from '@jest/globals';
import { checkFiles } from '../../core/files/check.ts';
import type { FileSource } from '../../core/files/source.ts';
import { openStateReader, stateAt } from '../../core/files/stateAt.ts';
import { beforeEachFresh, everythingIn, type FilesWorld, type Folder, type Note, worldOn } from './filesWorld.ts';

let folder: Folder;
let world: FilesWorld;
let notes: readonly Note[];
beforeEachFresh(async (fresh) => {
  ({ folder, world, notes } = fresh);
  for (const { path } of notes) await folder.put(path, `sound of ${path}`);
});

const contents = async (prefix = 'files/content/') => {
  const found = [];
  for await (const object of world.ctx.store.list(prefix)) found.push(object.name);
  return found;
};

test('every file of a row is backed up once, and a second run reads and writes nothing but its manifest', async () => {
  const first = await world.backUp();
  expect(first.manifest.totals).toMatchObject({
    ...{ files: notes.length, read: notes.length, stored: notes.length },
    ...{ gone: 0, unread: 0, unowned: 0, erased: 0 },
  });
  const before = await contents('files/');
  const second = await world.backUp();
  expect(second.manifest.totals).toMatchObject({ files: notes.length, read: 0, stored: 0, storedBytes: 0 });
  expect(second.manifest.tenants).toEqual(first.manifest.tenants);
  expect((await contents('files/')).filter((name) => !before.includes(name))).toEqual([
    `files/manifests/_database/${second.manifest.id}.json`,
  ]);
  expect(await checkFiles(world.ctx, { all: true, deep: true })).toMatchObject({
    ...{ faults: [], files: notes.length, contents: notes.length },
  });
}, 30_000);

test('only what changed is read, and the same content of one person is stored once', async () => {
  await world.backUp();
  const [one, two, other] = notes as [Note, Note, Note];
  const same = notes.filter((n) => n.person === one.person && n.path !== one.path)[0] ?? two;
  await folder.put(one.path, 'the same words');
  await folder.put(same.path, 'the same words');
  const { manifest } = await world.backUp();
  expect(manifest.totals.read).toBe(2);
  expect(manifest.totals.stored).toBe(same.person === one.person ? 1 : 2);
  // Equal contents of persons of two tenants have nothing in common in the store.
  const foreign = notes.find((n) => n.tenant !== one.tenant) ?? other;
  await folder.put(foreign.path, 'the same words');
  const before = await contents();
  expect((await world.backUp()).manifest.totals.stored).toBe(1);
  const [added] = (await contents()).filter((name) => !before.includes(name));
  expect(before.some((name) => name.split('/').at(-1) === added!.split('/').at(-1))).toBe(false);
}, 30_000);

test('nothing in the store tells a path, a content or a person', async () => {
  await folder.put(notes[0]!.path, 'a sentence that nobody else may read');
  await world.backUp();
  const bytes = await everythingIn(world.ctx.store.directory);
  for (const secret of [notes[0]!.path, notes[0]!.person, 'a sentence that nobody', 'opus']) {
    expect(bytes.includes(secret)).toBe(false);
  }
});

test('rows without files, files without rows, and names that cannot be are reported; the rest is backed up', async () => {
  const [lost, ...rest] = notes as [Note, ...Note[]];
  await folder.delete(lost.path);
  await folder.put('stray/a.opus', 'nobody owns this');
  await world.client.query('update public.voice_notes set storage_key = $2 where id = $1', [
    rest[0]!.id,
    '../../etc/passwd',
  ]);
  const report = await world.backUp();
  expect(report.manifest.totals).toMatchObject({ files: notes.length - 2, gone: 1, unread: 1, unowned: 2 });
  expect(report.missing).toEqual([{ set: 'recordings', tenant: lost.tenant, path: lost.path, lastGood: false }]);
  expect(report.badNames).toMatchObject([{ path: '../../etc/passwd' }]);
  expect(report.unowned.map(({ path }) => path).sort()).toEqual([rest[0]!.path, 'stray/a.opus'].sort());
});

test('what a file held last stays restorable while its row is there, however many runs find it gone', async () => {
  const [lost] = notes as [Note];
  await world.backUp();
  await folder.delete(lost.path);
  for (let run = 0; run < 2; run++) {
    expect((await world.backUp()).missing).toMatchObject([{ path: lost.path, lastGood: true }]);
  }
  const reader = await openStateReader(world.ctx);
  const state = await stateAt(reader, lost.tenant, 'recordings', undefined);
  expect(state.files.some(({ path }) => path === lost.path)).toBe(false);
  expect(state.lastGood).toMatchObject([{ path: lost.path }]);
  const plain = await world.restore({ tenant: lost.tenant });
  expect(plain).toMatchObject({ lastGood: 1 });
  await world.restore({ tenant: lost.tenant, lastGood: true });
  expect(await folder.get(lost.path)).toBe(`sound of ${lost.path}`);
}, 30_000);

test('an erased person: their files cannot be read by anyone, are never stored again, and nobody else is touched', async () => {
  const [{ person, tenant }] = notes as [Note];
  const theirs = notes.filter((n) => n.person === person);
  await world.backUp();
  await world.ctx.persons.erase(tenant, person);
  const reader = await openStateReader(world.ctx);
  const others = notes.filter((n) => n.tenant === tenant && n.person !== person);
  const state = await stateAt(reader, tenant, 'recordings', undefined);
  expect(state.erased).toBe(theirs.length);
  expect(state.files.map(({ path }) => path).sort()).toEqual(others.map(({ path }) => path).sort());
  for (const { path } of notes.filter((n) => n.tenant === tenant)) await folder.delete(path);
  const report = await world.restore({ tenant });
  expect(report).toMatchObject({ erased: theirs.length, failed: [] });
  const back = await folder.state();
  for (const { path } of others) expect(back[path]).toBeDefined();
  for (const { path } of theirs) expect(back[path]).toBeUndefined();
  for (const { path } of theirs) await folder.put(path, 'again');
  expect((await world.backUp()).manifest.totals.erased).toBe(theirs.length);
  expect(await checkFiles(world.ctx, { all: true, deep: true })).toMatchObject({ faults: [] });
}, 30_000);

test('empty files, large files, long and odd names come back to the byte', async () => {
  const large = randomBytes(11 << 20);
  const odd: [string, Uint8Array][] = [
    ['ünï/ cødé 🎙/文字\t"\\\'.opus'.replace('\\', ''), Buffer.from('odd')],
    [`${'d/'.repeat(100)}${'x'.repeat(255)}`, Buffer.alloc(0)],
    ['large', large],
    ['zeros', Buffer.alloc(9 << 20)],
    ['exactly one frame', randomBytes(1 << 20)],
    ['8 MiB', randomBytes(8 << 20)],
    ['line\nfeed', Buffer.from('\0\n\t\\N')],
  ];
  const own = notes.filter((n) => n.tenant === notes[0]!.tenant);
  for (const [i, [path, content]] of odd.entries()) {
    await world.client.query('update public.voice_notes set storage_key = $2 where id = $1', [own[i]!.id, path]);
    await folder.put(path, content);
  }
  const before = await folder.state();
  const { manifest } = await world.backUp();
  expect(manifest.totals.storedBytes).toBeLessThan(22 << 20);
  for (const [path] of odd) await folder.delete(path);
  expect(await world.restore({ tenant: own[0]!.tenant })).toMatchObject({ failed: [] });
  expect(await folder.state()).toEqual(before);
}, 30_000);

test('a file that changes while it is read is read again; one that never stops keeps its last good content', async () => {
  const [restless] = notes as [Note];
  await world.backUp();
  const plain = folder.source();
  let changes = 0;
  const source = Object.create(plain) as FileSource;
  let until = 1;
  source.read = async (path, options) => {
    const opened = await plain.read(path, options);
    if (path !== restless.path || changes >= until) return opened;
    const body = async function* () {
      yield* opened.body;
    };
    await folder.put(path, `change ${++changes} `.repeat(changes));
    return { ...opened, body: body() };
  };
  for (const method of ['list', 'stat', 'problem', 'write', 'history'] as const) {
    Object.assign(source, { [method]: (plain[method] as (...args: never[]) => unknown).bind(plain) });
  }
  const shaky = worldOn(world, source);
  await folder.put(restless.path, 'change 0');
  expect(await shaky.backUp()).toMatchObject({ unread: [], manifest: { totals: { read: 1 } } });
  until = 100;
  await folder.put(restless.path, 'change again');
  expect((await shaky.backUp()).unread).toMatchObject([
    { path: restless.path, code: 'HF_FILE_CHANGED', lastGood: true },
  ]);
  const state = await stateAt(await openStateReader(world.ctx), restless.tenant, 'recordings', undefined);
  expect(state.lastGood).toMatchObject([{ path: restless.path, size: 'change 1 '.length }]);
}, 30_000);
