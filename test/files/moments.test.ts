/** A few cases of the proof suite `files`: random changes, runs, kills and erasures; any moment is what an oracle remembers. */
import { afterAll, beforeAll, expect, test } from '@jest/globals';
import { fileCase } from '../../bench/prove/files/case.ts';
import { openLab } from '../../bench/prove/files/lab.ts';
import { Random } from '../../bench/prove/suite.ts';

let lab: Awaited<ReturnType<typeof openLab>>;
beforeAll(async () => {
  lab = await openLab(undefined);
});
afterAll(() => lab.database.drop());

test.each([11, 12])('seed %i', async (seed) => {
  const facts = { runs: 0, killed: 0, answers: 0, certain: 0, erased: 0 };
  await fileCase({ client: lab.client, url: lab.database.url }, new Random(seed), facts);
  expect(facts.runs).toBeGreaterThan(1);
  expect(facts.certain).toBeGreaterThan(0);
});
