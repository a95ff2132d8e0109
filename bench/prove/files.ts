/** Files at every moment, against a history that was kept beside them. */
import { fileCase } from './files/case.ts';
import { openLab } from './files/lab.ts';
import { type ProveFailure, type ProveOptions, type ProveResult, Random, type Suite } from './suite.ts';

const suite: Suite = {
  name: 'files',
  description: 'random changes, runs, kills and erasures of files; any moment restored is what an oracle remembers',
  quickCases: 12,
  run,
};
export default suite;

async function run({ cases, seed, serverUrl, log }: ProveOptions): Promise<ProveResult> {
  const { database, client } = await openLab(serverUrl);
  const failures: ProveFailure[] = [];
  const facts = { runs: 0, killed: 0, answers: 0, certain: 0, erased: 0 };
  try {
    for (let number = 0; number < cases; number++) {
      try {
        await fileCase({ client, url: database.url }, new Random(seed * 1_000_003 + number), facts);
      } catch (error) {
        failures.push({ seed, case: number, message: (error as Error).message });
        log(`case ${number}: ${(error as Error).stack}`);
      }
      if (number % 10 === 9) log(`${number + 1} of ${cases}`);
    }
  } finally {
    await database.drop();
  }
  return { cases, failures, facts };
}
