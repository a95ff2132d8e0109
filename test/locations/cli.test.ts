/** From the command line: copies are made, the store is lost, and everything comes back from a copy. */
import { appendFile, readFile, rename, rm, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { afterAll, beforeAll, expect, test } from '@jest/globals';
import { type FauxqsServer, startFauxqs } from 'fauxqs';
import { holdfast, listing } from '../cli/run.ts';
import { createShop, INIT, type Shop } from '../cli/shop.ts';
import { createDatabase } from '../support/database.ts';
import { temporaryDirectory } from '../support/temporary.ts';

let shop: Shop;
let s3: FauxqsServer;

beforeAll(async () => {
  process.env.AWS_ACCESS_KEY_ID = process.env.AWS_SECRET_ACCESS_KEY = 'test';
  s3 = await startFauxqs({ port: 0, logger: false, init: { buckets: ['copies'] } });
  shop = await createShop();
  expect((await shop.run(...INIT)).code).toBe(0);
  await appendFile(
    join(shop.cwd, 'holdfast.yaml'),
    `
locations:
  paris: {kind: secondary, store: "s3://copies/shop?endpoint=http://127.0.0.1:${s3.port}", site: Paris}
  nas: {kind: secondary, store: ./nas}
  tapes: {kind: tertiary, store: ./tapes, medium: tape, site: a bank}
  small: {kind: secondary, store: ./small}
  vault: {kind: air_gapped, store: ./vault, site: elsewhere}
`,
  );
  expect((await shop.run('install')).code).toBe(0);
  expect((await shop.run('backup', '--no-prove', '--json')).code).toBe(0);
}, 120_000);
afterAll(async () => {
  await shop.database.drop();
  await s3.stop();
});

const store = () => join(shop.cwd, 'holdfast-store');
const at = (...path: string[]) => join(shop.cwd, ...path);

test('copies are made, and 3-2-1 is said to be kept', async () => {
  const before = await shop.run('locations', '--json');
  expect(before.code).toBe(1);
  expect(before.json.threeTwoOne).toMatchObject({ ok: false, copies: 2, offSite: [] });

  const copied = await shop.run('replicate', 'paris', 'nas', '--json');
  expect(copied.code).toBe(0);
  expect(copied.json.locations).toMatchObject([
    { location: 'paris', copied: [{}], withheld: [], faults: [], unproven: 0 },
    { location: 'nas', copied: [{}], withheld: [], faults: [], unproven: 0 },
  ]);
  expect(await listing(at('nas'))).toEqual(await listing(store()));

  const checked = await shop.run('locations', 'verify', 'paris', '--json');
  expect(checked.json).toMatchObject({ location: 'paris', faults: [], backups: 1 });
  const { code, json } = await shop.run('locations', '--json');
  expect(code).toBe(0);
  expect(json.threeTwoOne).toMatchObject({
    ok: true,
    copies: 4,
    media: ['disk', 'object storage'],
    offSite: ['paris'],
  });
  expect(json.locations[1]).toMatchObject({
    state: 'current',
    secondsBehind: 0,
    verified: { faults: 0, signed: true },
  });
  const text = (await shop.run('locations')).stdout;
  expect(text).toContain('3-2-1 is kept: 4 copies with the database, on disk and object storage, off-site: paris');
  expect(text).toContain('not counted: tapes, because it has no backup');
}, 60_000);

test('a copy that finds no room says so, and goes on when there is some', async () => {
  const full = await shop.runWith({ after: 'ulimit -f 8' }, 'replicate', 'small', '--json');
  expect(full.json.error).toMatchObject({
    code: 'HF_STORE_FULL',
    action: expect.stringContaining('run the command again'),
  });
  const { json } = await shop.run('locations', '--json');
  expect(json.locations.find(({ name }: { name: string }) => name === 'small')).toMatchObject({
    state: 'behind',
    backups: 0,
  });
  expect((await shop.run('replicate', 'small')).code).toBe(0);
  expect(await listing(at('small'))).toEqual(await listing(store()));
}, 30_000);

test('the other side pulls with public keys alone, without holdfast.yaml', async () => {
  const elsewhere = await temporaryDirectory();
  const keys = await shop.run('audit', 'public-key');
  await writeFile(join(elsewhere, 'keys.pem'), `${keys.stdout}`);
  const words = ['replicate', '--pull', '--from', store(), '--to', './vault', '--public-key', 'keys.pem'];
  const pulled = await holdfast([...words, '--json'], { cwd: elsewhere });
  expect(pulled.json.locations).toMatchObject([{ copied: [{}], withheld: [], faults: [] }]);
  expect(pulled.json.locations[0].unproven).toBeGreaterThan(0);
  expect(await listing(join(elsewhere, 'vault'))).toEqual(await listing(store()));
  expect((await holdfast(words, { cwd: elsewhere })).stdout).toContain('1 backup was there');
}, 60_000);

test('media are exported, verified without anything else, and tampering is named', async () => {
  const exported = await shop.run('media', 'export', '--to', 'tapes', '--label', 'T-1', '--json');
  expect(exported.code).toBe(0);
  const elsewhere = await temporaryDirectory();
  await writeFile(join(elsewhere, 'keys.pem'), (await shop.run('audit', 'public-key')).stdout);
  const verify = () =>
    holdfast(['media', 'verify', at('tapes'), '--public-key', 'keys.pem', '--json'], { cwd: elsewhere });
  expect((await verify()).json).toMatchObject({ label: 'T-1', faults: [], extra: [] });
  const [object] = Object.keys(await listing(at('tapes'))).filter((name) => name.endsWith('.hf'));
  const whole = await readFile(at('tapes', object!));
  await writeFile(at('tapes', object!), Buffer.concat([whole.subarray(0, 40), Buffer.from('?'), whole.subarray(41)]));
  const bad = await verify();
  expect(bad.code).toBe(1);
  expect(bad.json.faults).toMatchObject([{ object, code: 'HF_OBJECT_CORRUPT' }]);
  const refused = await shop.run('media', 'import', 'tapes', '--json');
  expect(refused.json.error).toMatchObject({ code: 'HF_MEDIA_DAMAGED' });
  await writeFile(at('tapes', object!), whole);
  expect((await verify()).code).toBe(0);
}, 60_000);

test('with the store gone, everything is read from another location; media bring the store itself back', async () => {
  await rename(store(), at('gone'));
  const lost = await shop.run('locations', '--json');
  expect(lost.json.locations.map(({ state }: { state: string }) => state)).toEqual([
    'empty',
    ...Array(4).fill('current'),
    'empty',
  ]);
  const listed = await shop.run('list', '--location', 'paris', '--json');
  const [backup] = listed.json.backups;
  expect((await shop.run('validate', '-p', backup.id, '--deep', '--location', 'nas')).stdout).toContain('Sound');
  const target = await createDatabase({ prefix: 'from_paris' });
  const restored = await shop.run('restore-database', '--location', 'paris', '--target-url', target.url, '--json');
  expect(restored.json.error).toBeUndefined();
  const client = await target.client();
  const rows = 'select count(*)::int as n from "Shop"."Positionen"';
  expect((await client.query(rows)).rows).toEqual((await shop.client.query(rows)).rows);
  await target.drop();

  const imported = await shop.run('media', 'import', './tapes', '--json');
  expect(imported.json).toMatchObject({ copied: [{}], withheld: [] });
  expect((await shop.run('locations', '--json')).json.locations[0]).toMatchObject({ state: 'current', backups: 1 });
  await rm(at('gone'), { recursive: true });
}, 90_000);

test.each([
  [['replicate', 'vault'], 'HF_LOCATION_KIND', '--pull'],
  [['replicate', 'tapes'], 'HF_LOCATION_KIND', 'media export'],
  [['replicate', 'pariss'], 'HF_LOCATION_UNKNOWN', 'paris'],
  [['media', 'export', '--to', './holdfast-store/in'], 'HF_LOCATION_OVERLAP', 'another disk'],
  [['media', 'import', './nas'], 'HF_MEDIA_UNFINISHED', 'again'],
  [['cleanup', '--location', 'nas'], 'HF_LOCATION_KEEPS', 'retention'],
] as const)('%j is refused with %s', async (args, code, action) => {
  const { json, code: exit } = await shop.run(...args, '--json');
  expect(json.error).toMatchObject({ code, action: expect.stringContaining(action) });
  expect(exit).toBeGreaterThan(0);
});
