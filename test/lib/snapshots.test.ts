import { expect, test } from '@jest/globals';
import { EXAMPLES, tenantBackup } from './examples.ts';
import { filesContext, templateOf } from './world.ts';

/** Hashes of files change with every edit of them, and definitions are tested where they lie: neither says anything of a construct. */
const stable = (template: unknown): unknown =>
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

test('TenantBackup: what there is of it at its least, and at its most', async () => {
  const { 'holdfast:map': map } = await filesContext();
  const [minimal, maximal] = tenantBackup(map as string).map((build) => {
    const resources = templateOf(build).toJSON().Resources as Record<string, { Type: string }>;
    return Object.entries(resources).map(([id, { Type }]) => `${stable(id)} ${Type}`);
  });
  expect(minimal!.sort()).toMatchSnapshot('minimal');
  expect(maximal!.filter((resource) => !minimal!.includes(resource)).sort()).toMatchSnapshot('beyond that');
});
