import { expect, test } from '@jest/globals';
import { Random } from '../../bench/prove/suite.ts';
import { pairs } from '../../core/locations/compare.ts';
import type { ObjectStore } from '../../core/ports.ts';
import { readOnly } from './support.ts';

const listing = (names: readonly string[], size: (name: string) => number): ObjectStore => ({
  ...readOnly({ description: 'a listing' } as ObjectStore),
  async *list() {
    for (const name of names) yield { name, size: size(name) };
  },
});

const ORDERS = {
  'by code points': (a: string, b: string) => (a < b ? -1 : 1),
  'as a dictionary': (a: string, b: string) => a.localeCompare(b),
  backwards: (a: string, b: string) => (a < b ? 1 : -1),
};

test.each(Object.entries(ORDERS))('two listings, one of them sorted %s', async (_, order) => {
  const random = new Random(3);
  for (let round = 0; round < 200; round++) {
    const all = Array.from(
      { length: random.int(12) },
      (_, i) => `${random.pick(['%c3', '_', 'a', 'B', 'a-', 'a/'])}${i}`,
    );
    const [here, there] = [all, all].map((names) => names.filter(() => random.chance(0.6)));
    const source = listing([...here!].sort(ORDERS['by code points']), () => 1);
    const target = listing([...there!].sort(order), () => 2);
    const got: string[] = [];
    for await (const p of pairs(source, target, '')) got.push(`${p.name} ${p.source ?? '-'} ${p.target ?? '-'}`);
    const expected = all
      .filter((name) => here!.includes(name) || there!.includes(name))
      .map((name) => `${name} ${here!.includes(name) ? 1 : '-'} ${there!.includes(name) ? 2 : '-'}`);
    expect(got.sort()).toEqual(expected.sort());
  }
});
