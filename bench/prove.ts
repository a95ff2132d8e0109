/**
 * `npm run prove -- <suite|all> [--cases N] [--seed S] [--json]`: runs property and fault suites on an embedded server of
 * their own. Exits 1 when any case fails, and prints the seed that reproduces it.
 */
import { mkdtemp, readdir, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { parseArgs } from 'node:util';
import { EmbeddedServer } from '../adapters/local/embedded.ts';
import type { ProveResult, Suite } from './prove/suite.ts';

const folder = join(import.meta.dirname, 'prove');

async function suiteNames(): Promise<string[]> {
  const files = await readdir(folder);
  return files.filter((f) => f.endsWith('.ts') && f !== 'suite.ts').map((f) => f.slice(0, -3));
}

async function run(suite: Suite, seed: number, cases: number, json: boolean): Promise<ProveResult> {
  const log = (line: string) => {
    if (!json) console.log(`  ${line}`);
  };
  const directory = await mkdtemp(join(tmpdir(), 'holdfast-prove-'));
  // A proof may kill processes, never the machine: fsync would only slow it down.
  const server = await EmbeddedServer.start({ directory, settings: { fsync: 'off', max_connections: '200' } });
  try {
    return await suite.run({ cases, seed, serverUrl: server.url(), log });
  } finally {
    await server.stop();
    await rm(directory, { recursive: true, force: true });
  }
}

const { values, positionals } = parseArgs({
  allowPositionals: true,
  options: { cases: { type: 'string' }, seed: { type: 'string' }, json: { type: 'boolean', default: false } },
});
const known = await suiteNames();
const wanted = positionals.includes('all') ? known : positionals;
const unknown = wanted.filter((name) => !known.includes(name));
if (wanted.length === 0 || unknown.length > 0) {
  console.error(
    `${unknown.length ? `No suite named ${unknown.join(', ')}.` : 'Which suite?'} There are: ${known.join(', ')}, all.`,
  );
  process.exit(2);
}

const seed = values.seed === undefined ? Math.floor(Math.random() * 2 ** 31) : Number(values.seed);
let failed = false;
for (const name of wanted) {
  const suite = ((await import(join(folder, `${name}.ts`))) as { default: Suite }).default;
  const cases = values.cases === undefined ? suite.quickCases : Number(values.cases);
  if (!values.json) console.log(`${name}: ${suite.description}\n  seed ${seed}, ${cases} cases`);
  const started = performance.now();
  const result = await run(suite, seed, cases, values.json);
  const seconds = Math.round((performance.now() - started) / 100) / 10;
  failed ||= result.failures.length > 0;
  if (values.json) {
    console.log(
      JSON.stringify({
        suite: name,
        seed,
        cases: result.cases,
        failures: result.failures,
        facts: result.facts,
        seconds,
      }),
    );
    continue;
  }
  for (const [fact, value] of Object.entries(result.facts ?? {})) console.log(`  ${fact}: ${value}`);
  for (const failure of result.failures) {
    console.log(`  FAILED case ${failure.case}: ${failure.message}`);
    console.log(`  reproduce: npm run prove -- ${name} --seed ${failure.seed} --cases ${failure.case + 1}`);
  }
  console.log(`${name}: ${result.cases} cases, ${result.failures.length} failures, ${seconds} s\n`);
}
process.exit(failed ? 1 : 0);
