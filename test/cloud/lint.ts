import { execFile } from 'node:child_process';
import { readdir } from 'node:fs/promises';
import { join } from 'node:path';
import { promisify } from 'node:util';
import { ROOT } from './emulator.ts';
import type { CloudWorld } from './world.ts';

const run = promisify(execFile);

interface Finding {
  readonly Level: string;
  readonly Message: string;
  readonly Rule: { readonly Id: string };
  readonly Location: { readonly Path: readonly (string | number)[] };
}

/** The language allows an OutputPath in a Succeed state; this version of the linter does not know it. */
const known = ({ Rule, Message }: Finding): boolean =>
  Rule.Id === 'E3601' && /'OutputPath' was unexpected\) at 'States\/\w+\/OutputPath'/.test(Message);

/** @throws Error naming each finding, when the templates of all stacks as they stand have an error of the schema */
export async function lintTemplates({ bin, directory, settings }: CloudWorld): Promise<void> {
  const assembly = join(directory, 'lint');
  // Templates of all stacks are written; only what is named is bundled, and it has no functions.
  const options = ['--quiet', '--output', assembly, '-c', `holdfast:map=${settings.map}`];
  await run(join(ROOT, 'node_modules/.bin/cdk'), ['synth', 'holdfast-keys', ...options], { cwd: ROOT });
  const files = (await readdir(assembly)).filter((name) => name.endsWith('.template.json'));
  const { stdout } = await run(
    join(bin, 'cfn-lint'),
    ['--format', 'json', '--non-zero-exit-code', 'none', ...files.map((name) => join(assembly, name))],
    {
      maxBuffer: 64 << 20,
    },
  );
  const errors = (JSON.parse(stdout || '[]') as Finding[]).filter((found) => found.Level === 'Error' && !known(found));
  if (errors.length > 0) {
    throw new Error(
      errors.map(({ Rule, Message, Location }) => `${Rule.Id} ${Location.Path.join('/')}: ${Message}`).join('\n'),
    );
  }
}
