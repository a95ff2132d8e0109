import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { expect, test } from '@jest/globals';
import { makeWorld } from '../../bench/prove/corruption/world.ts';
import { Random } from '../../bench/prove/suite.ts';
import { temporaryDirectory } from '../support/temporary.ts';
import { backupKey, readBackup, readDocument, readSlab, tenantKey } from './independentReader.ts';

test('a reader written from the document alone reads every row of a backup', async () => {
  const directory = await temporaryDirectory();
  const world = await makeWorld(directory, new Random(4));
  const name = `manifests/_database/${world.full.id}.json`;
  const read = readBackup(join(directory, 'store'), name, join(directory, 'key.json'), join(directory, 'persons'));
  const made = new Map<string, string[]>();
  for (const [key, text] of world.rows) {
    const [object, ordinal, table] = key.split(' ') as [string, string, string];
    const slab = world.full.objects.find((o) => o.name === object)?.slabs[Number(ordinal)];
    if (!slab) continue;
    const list = made.get(`${slab.tenant} ${table}`) ?? [];
    made.set(`${slab.tenant} ${table}`, [...list, ...text.split('\n').slice(0, -1)]);
  }
  expect([...read.keys()].sort()).toEqual([...made.keys()].sort());
  let erased = 0;
  for (const [key, rows] of made) {
    expect(read.get(key)).toHaveLength(rows.length);
    for (const [i, row] of read.get(key)!.entries()) {
      if (row === rows[i]) continue;
      // One person of this tenant was erased after the backup was made.
      expect([key, row]).toEqual(['acme public.entries', `${rows[i]!.split('\t').slice(0, 2).join('\t')}\t\\N\t\\N`]);
      erased++;
    }
  }
  expect(erased).toBeGreaterThan(0);
});

test('the example in the document', () => {
  const text = readFileSync('docs/backup-format.md', 'utf8').split('## Example')[1]!.split('## Appendix')[0]!;
  const [, about, , dump] = text.split('```');
  const field = (name: string) => new RegExp(`^${name} +(.+)$`, 'm').exec(about!)![1]!;
  const hex = dump!.split('\n').map((line) => /^(?:\d+)?\s+([0-9a-f]{2,64})(?:\s|$)/.exec(line)?.[1] ?? '');
  const bytes = Buffer.from(hex.join(''), 'hex');
  expect(bytes).toHaveLength(260);

  const key = tenantKey(
    readDocument(Buffer.from(`${field('tenant key')}\n`)),
    new Map([[1, Buffer.from(field('root key'), 'hex')]]),
  );
  const backup = field('backup');
  const unwrapped = backupKey(JSON.parse(field('backup key')), key, backup, 'acme');
  expect([key.toString('hex'), unwrapped.toString('hex')]).toEqual(
    [...about!.matchAll(/^ {2}unwrapped +(.+)$/gm)].map((match) => match[1]),
  );
  const place = { backup, tenant: 'acme', object: field('object'), ordinal: 0 };
  const person = (ref: string) => (ref === field('person') ? Buffer.from(field('person key'), 'hex') : undefined);
  expect(readSlab(bytes, unwrapped, place, person)).toEqual(new Map([['public.notes', ['1\tno owner', '2\thello']]]));
  expect(readSlab(bytes, unwrapped, place, () => undefined).get('public.notes')).toEqual(['1\tno owner', '2\t\\N']);
});
