/** What functions find at /opt, and that bundling gives the same bytes whenever it is asked. */
import { mkdtempSync, readdirSync, readFileSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, expect, test } from '@jest/globals';
import { App, Stack } from 'aws-cdk-lib';
import { writeBundle } from '../../lib/bundle.ts';
import { MapLayer } from '../../lib/constructs/mapLayer.ts';

const folder = mkdtempSync(join(tmpdir(), 'holdfast-layer-test-'));
afterAll(() => rmSync(folder, { recursive: true }));

test('the layer holds holdfast.yaml, the authorities and the public keys, where the variables say', () => {
  const app = new App({ outdir: join(folder, 'assembly'), analyticsReporting: false });
  const files = { map: 'sample/holdfast.yaml', databaseCa: 'LICENSE', publicKeys: 'sample/public-keys.pem' };
  const { environment } = new MapLayer(new Stack(app, 'S'), 'Layer', files);
  const { directory } = app.synth();
  const asset = readdirSync(directory).find((name) => name.startsWith('asset.'))!;
  const found = Object.values(environment).map((path) => join(directory, asset, path.replace(/^\/opt\//, '')));
  expect(found.map((path) => readFileSync(path, 'utf8'))).toEqual(
    Object.values(files).map((path) => readFileSync(path, 'utf8')),
  );
});

test('a bundle is one module that can be loaded by itself, with its threads beside it, and no address of this machine in it', () => {
  const bytes = writeBundle('functions/backup/copy.ts', folder);
  const files = readdirSync(folder).filter((name) => name.endsWith('.mjs') || name.endsWith('.map'));
  expect(files).toEqual(expect.arrayContaining(['index.mjs', 'sealWorker.mjs']));
  expect(bytes).toBeLessThan(4 << 20);
  for (const name of files) expect(readFileSync(join(folder, name), 'utf8')).not.toContain(process.cwd());
  expect(() => writeBundle('functions/no/such.ts', folder)).toThrow('entry: expected the path of a module');
});
