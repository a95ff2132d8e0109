/** What whoever uses the constructs is told of each prop; and that no construct was left out of the snapshots. */
import { readdirSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import { expect, test } from '@jest/globals';
import { EXAMPLES } from './examples.ts';

const LIB = join(import.meta.dirname, '../../lib');
const sources = ['constructs', 'stacks', '.'].flatMap((folder) =>
  readdirSync(join(LIB, folder))
    .filter((file) => file.endsWith('.ts'))
    .map((file) => ({ file, text: readFileSync(join(LIB, folder, file), 'utf8') })),
);

test('every prop says what it is, and every one that may be left out what then happens', () => {
  const wanting: string[] = [];
  let props = 0;
  for (const { file, text } of sources) {
    for (const [, name, body] of text.matchAll(/^export interface (\w+)[^{]*\{\n([\s\S]*?)^\}/gm)) {
      for (const [, doc = '', prop, optional] of body!.matchAll(
        /( {2}\/\*\*(?:(?!\*\/)[\s\S])*\*\/\n)?^ {2}readonly (\w+)(\?)?:/gm,
      )) {
        props += 1;
        if (doc === '' || (optional && !doc.includes('@default'))) wanting.push(`${file}: ${name}.${prop}`);
      }
    }
  }
  expect(props).toBeGreaterThan(90);
  expect(wanting).toEqual([]);
});

test('every construct has its least and its most in a snapshot', () => {
  const constructs = sources.flatMap(({ text }) => [...text.matchAll(/^export class (\w+) extends Construct /gm)]);
  const names = constructs.map(([, name]) => name!);
  expect(names.toSorted()).toEqual([...Object.keys(EXAMPLES), 'TenantBackup'].toSorted());
});
