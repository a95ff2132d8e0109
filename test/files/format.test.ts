/** A reader of file backups written from docs/backup-format.md, with node:crypto and node:zlib alone. */
import { createDecipheriv, createHash, createHmac, hkdfSync } from 'node:crypto';
import { readdir, readFile } from 'node:fs/promises';
import { join } from 'node:path';
import { zstdDecompressSync } from 'node:zlib';
import { afterAll, expect, test } from '@jest/globals';
import type { World } from '../snapshot/world.ts';
import { Folder, freshWorld, makeDatabase } from './filesWorld.ts';

let database: World | undefined;
afterAll(() => database?.database.drop());

const hkdf = (key: Uint8Array, salt: Uint8Array, info: string) => Buffer.from(hkdfSync('sha256', key, salt, info, 32));
const NO_SALT = Buffer.alloc(0);

function gcm(key: Buffer, nonce: Buffer, aad: Buffer, sealed: Buffer): Buffer {
  const decipher = createDecipheriv('aes-256-gcm', key, nonce);
  decipher.setAAD(aad);
  decipher.setAuthTag(sealed.subarray(-16));
  return Buffer.concat([decipher.update(sealed.subarray(0, -16)), decipher.final()]);
}

/** Plaintexts of the frames from `at` on, and where they end. */
function frames(key: Buffer, bytes: Buffer, from: number): { bodies: Buffer[]; end: number } {
  const bodies: Buffer[] = [];
  let at = from;
  for (let number = 0, last = false; !last; number++) {
    const word = bytes.subarray(at, at + 4);
    const length = word.readUInt32BE() & 0x7fffffff;
    last = word[0]! >= 0x80;
    const nonce = Buffer.alloc(12);
    nonce.writeUInt32BE(number, 7);
    nonce[11] = last ? 1 : 0;
    bodies.push(gcm(key, nonce, word, bytes.subarray(at + 4, at + 4 + length + 16)));
    at += 4 + length + 16;
  }
  return { bodies, end: at };
}

test('a file is read with its person’s key as the document says, and with no other', async () => {
  database = await makeDatabase();
  const folder = await Folder.make();
  const world = await freshWorld(database, folder.source());
  const [note] = await world.notes();
  const content = Buffer.from('spoken words, '.repeat(200_000));
  await folder.put(note!.path, content);
  const { manifest } = await world.backUp();
  const { store, keys, persons } = world.ctx;

  // The tenant key: its own opening is the test of the database format's reader.
  const tenant = note!.tenant;
  const file = JSON.parse((await store.get(`keys/${tenant}/00001.json`)).toString());
  const context = { purpose: 'tenant-key', store: file.store, tenant, id: file.id, rootKey: file.rootKey };
  const tenantKey = await keys.unwrap(Buffer.from(file.wrapped, 'base64'), context);
  const { ref, key } = (await persons.obtain(tenant, [note!.person])).get(note!.person)!;

  const found: Record<string, string>[] = [];
  for (const page of manifest.tenants[tenant]!) {
    const bytes = await store.get(page.object);
    expect(createHash('sha256').update(bytes).digest('hex')).toBe(page.sha256);
    expect(bytes.toString('latin1', 0, 4)).toBe('HFS1');
    const salt = bytes.subarray(4, 20);
    const run = page.object.split('/').at(-2)!;
    const pageKey = hkdf(tenantKey, NO_SALT, 'holdfast-tenant-1/files');
    const slab = JSON.stringify(['holdfast-slab-1', run, tenant, page.object, 0]);
    const { bodies, end } = frames(hkdf(pageKey, salt, slab), bytes, 20);
    const stream = Buffer.concat(bodies.map((body) => zstdDecompressSync(body)));
    const directory = JSON.parse(stream.toString('utf8', 4, 4 + stream.readUInt32BE()));
    expect(directory.sections).toMatchObject([{ table: 'holdfast.files', rows: page.files }]);
    const [section] = directory.sections;
    let at = end;
    for (const [index, [reference, raw, stored]] of directory.persons.entries()) {
      const capsule = bytes.subarray(at, at + stored);
      at += stored;
      if (reference !== ref) continue;
      const aad = `${JSON.stringify(['holdfast-capsule-1', run, tenant, page.object, 0, salt.toString('hex')])} ${ref}`;
      let plain = gcm(key, capsule.subarray(0, 12), Buffer.from(aad), capsule.subarray(12));
      if (stored !== raw + 28)
        plain = raw < 4096 ? (await import('node:zlib')).inflateRawSync(plain) : zstdDecompressSync(plain);
      const rows = plain.toString('utf8', 4).trimEnd().split('\n');
      // Rows of the open part stand in the order of the runs.
      const openRows = stream
        .toString('utf8', 4 + stream.readUInt32BE())
        .trimEnd()
        .split('\n');
      let before = 0;
      for (let i = 0; section.runs[i] !== index; i += 2) before += section.runs[i + 1];
      for (const [i, row] of rows.entries()) {
        const names = [...section.columns, ...section.sealed];
        const fields = `${openRows[before + i]}\t${row}`.split('\t');
        found.push(Object.fromEntries(names.map((name: string, n: number) => [name, fields[n]!])));
      }
    }
  }
  const entry = found.find(({ path }) => path === note!.path)!;
  expect(entry).toMatchObject({ set: 'recordings', state: 'present', size: String(content.length) });

  const digest = createHash('sha256').update(content).digest();
  const address = createHmac('sha256', hkdf(key, NO_SALT, 'holdfast-file-1/address'))
    .update(digest)
    .digest('hex');
  expect(entry.content).toBe(`files/content/${tenant}/${address.slice(0, 2)}/${address}.hff`);
  expect(entry.sha256).toBe(digest.toString('hex'));
  const object = await store.get(entry.content!);
  expect([object.toString('latin1', 0, 4), object[4], String(object.length)]).toEqual(['HFF1', 1, entry.stored]);
  const info = JSON.stringify(['holdfast-file-1', tenant, ref, entry.content, 1]);
  const { bodies, end } = frames(hkdf(key, object.subarray(5, 21), info), object, 21);
  expect(end).toBe(object.length);
  expect(bodies).toHaveLength(3);
  expect(Buffer.concat(bodies.map((body) => zstdDecompressSync(body))).equals(content)).toBe(true);
  expect(() => frames(hkdf(tenantKey, object.subarray(5, 21), info), object, 21)).toThrow();
  // Nothing but the store's own names is there besides.
  const all = await readdir(join(store.directory, 'files'));
  expect(all.sort()).toEqual(['content', 'manifests', 'pages']);
  expect(
    (await readFile(join(store.directory, `files/manifests/_database/${manifest.id}.json`))).includes(note!.path),
  ).toBe(false);
});
