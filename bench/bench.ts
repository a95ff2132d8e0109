/**
 * `npm run bench -- <suite…> [--scale X] [--rounds N] [--json]`: ratios against a peer or a floor that runs interleaved in the
 * same process run. It reports; it never fails on a figure.
 */
import { readdir } from 'node:fs/promises';
import { join } from 'node:path';
import { parseArgs } from 'node:util';
import type { BenchSuite } from './suites/suite.ts';

const folder = join(import.meta.dirname, 'suites');
const known = (await readdir(folder)).filter((f) => f.endsWith('.ts') && f !== 'suite.ts').map((f) => f.slice(0, -3));
const { values, positionals } = parseArgs({
  allowPositionals: true,
  options: {
    scale: { type: 'string', default: '1' },
    rounds: { type: 'string', default: '5' },
    json: { type: 'boolean', default: false },
  },
});
const wanted = positionals.includes('all') ? known : positionals;
const unknown = wanted.filter((name) => !known.includes(name));
if (wanted.length === 0 || unknown.length > 0) {
  console.error(
    `${unknown.length ? `No benchmark named ${unknown.join(', ')}.` : 'Which benchmark?'} There are: ${known.join(', ')}, all.`,
  );
  process.exit(2);
}

for (const name of wanted) {
  const suite = ((await import(join(folder, `${name}.ts`))) as { default: BenchSuite }).default;
  const log = (line: string) => {
    if (!values.json) console.log(`  ${line}`);
  };
  if (!values.json) console.log(`${name}: ${suite.description}`);
  const result = await suite.run({ log, scale: Number(values.scale), rounds: Number(values.rounds) });
  if (values.json) {
    console.log(JSON.stringify({ suite: name, ...result }));
    continue;
  }
  const number = (value: number) => value.toPrecision(3).padStart(9);
  console.log(`  ${'ratio'.padEnd(58)} ${'median'.padStart(9)} ${'min'.padStart(9)} ${'max'.padStart(9)}   goal`);
  for (const [what, r] of Object.entries(result.ratios)) {
    console.log(`  ${what.padEnd(58)} ${number(r.median)} ${number(r.min)} ${number(r.max)}   ${r.goal}`);
  }
  for (const [fact, value] of Object.entries(result.facts)) console.log(`  ${fact}: ${value}`);
  console.log('');
}
