import { expect, test } from '@jest/globals';
import { EXAMPLES } from './examples.ts';
import { templateOf } from './world.ts';

/** Hashes of files change with every edit of them, and definitions are tested where they lie: neither says anything of a construct. */
const stable = (template: object): unknown =>
  JSON.parse(
    JSON.stringify(template, (key, value) => (key === 'DefinitionString' ? '<definition>' : value)).replace(
      /[0-9a-f]{64}|[0-9A-F]{32,}|(?<=Layer)[0-9A-F]{8}[0-9a-f]*/g,
      '<hash>',
    ),
  );

test.each(Object.entries(EXAMPLES))('%s: the least, and everything', (_, [minimal, maximal]) => {
  expect(stable(templateOf(minimal).toJSON())).toMatchSnapshot('minimal');
  expect(stable(templateOf(maximal).toJSON())).toMatchSnapshot('maximal');
});
