/** docs/errors.md lists the codes that the sources have: all of them, and no others. */
import { readdir, readFile } from 'node:fs/promises';
import { expect, test } from '@jest/globals';

const root = new URL('../../', import.meta.url);

async function codesInSources(): Promise<Set<string>> {
  const codes = new Set<string>();
  for (const folder of ['core', 'adapters', 'cli', 'functions', 'sql']) {
    for (const name of await readdir(new URL(folder, root), { recursive: true })) {
      if (!/\.(ts|sql|asl\.json)$/.test(name)) continue;
      const text = await readFile(new URL(`${folder}/${name}`, root), 'utf8');
      for (const [, code] of text.matchAll(/['"`](HF_[A-Z0-9_]+)['"`]/g)) codes.add(code!);
    }
  }
  return codes;
}

test('every code is listed once, with its meaning and a remedy, and every listed code exists', async () => {
  const text = await readFile(new URL('docs/errors.md', root), 'utf8');
  const listed = [...text.matchAll(/^\| `(HF_\w+)` \| (.+) \| (.+) \|$/gm)].map(([, code]) => code!);
  expect(listed.filter((code, i) => listed.indexOf(code) !== i)).toEqual([]);
  expect([...listed].sort()).toEqual([...(await codesInSources())].sort());
});
