import { expect, test } from '@jest/globals';
import { Budget } from '../../core/files/budget.ts';

test('never more in flight than files and bytes allow, and everything gets its turn', async () => {
  const budget = new Budget();
  const [MiB, sizes] = [1 << 20, [1, 30, 30, 30, 500, 1, 1, 64, 2, 2, 40]];
  let files = 0;
  let bytes = 0;
  let most = { files: 0, bytes: 0 };
  const done: number[] = [];
  const work = (size: number) => async () => {
    files++;
    bytes += size;
    most = { files: Math.max(most.files, files), bytes: Math.max(most.bytes, bytes === size ? 0 : bytes) };
    await new Promise((go) => setTimeout(go, 2));
    files--;
    bytes -= size;
    done.push(size);
    if (size === 2) throw new RangeError('an error gives its share back');
  };
  const all = [...sizes, ...Array<number>(100).fill(0.1)].map((size) => budget.run(size * MiB, work(size)));
  const settled = await Promise.allSettled(all);
  expect(settled.filter(({ status }) => status === 'rejected')).toHaveLength(2);
  expect(done).toHaveLength(sizes.length + 100);
  expect(most.files).toBe(16);
  expect(most.bytes).toBeLessThanOrEqual(64);
});
