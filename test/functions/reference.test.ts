import { expect, test } from '@jest/globals';
import { entriesOf, itemsOver } from '../../functions/reference.ts';

const PAYLOAD = 256 << 10;

test.each([0, 1, 9999, 10_000, 10_001, 250_000])(
  '%d entries: each is of one item, and items and answers fit into a payload',
  (count) => {
    const list = Array.from({ length: count }, (_, entry) => `entry ${entry}`);
    const items = itemsOver(list);
    const seen: string[] = [];
    for (const item of items.length > 100 ? items.filter((i) => i % 997 === 0 || i === 9999) : items) {
      const entries = entriesOf(list, item);
      expect(entries[0]).toBe(item);
      seen.push(...entries.map((at) => list[at]!));
    }
    expect(new Set(seen).size).toBe(seen.length);
    expect(items.reduce((sum, item) => sum + Math.ceil((count - item) / 10_000), 0)).toBe(count);
    expect(entriesOf(list, 0)).toHaveLength(Math.ceil(count / 10_000));
    const state = { check: { items }, parts: items.map(() => ({ faults: 99_999 })) };
    expect(JSON.stringify(state).length).toBeLessThan(PAYLOAD);
  },
);
