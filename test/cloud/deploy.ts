/** The real stacks, synthesised and deployed by the real command line. */
import { execFile } from 'node:child_process';
import { mkdirSync } from 'node:fs';
import { readFile, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { promisify } from 'node:util';
import { ROOT } from './emulator.ts';

const run = promisify(execFile);
const BIN = join(ROOT, 'node_modules/.bin');

export type Outputs = Readonly<Record<string, string>>;
export type Template = { Resources: Record<string, { Type: string; Properties?: Record<string, unknown> }> };

/** What a stack printed, and its template as it was deployed. */
export interface Deployed {
  readonly outputs: Outputs;
  readonly template: Template;
}

export interface Deployer {
  /** @param places as in `111122223333/eu-central-1` */
  bootstrap(...places: readonly string[]): Promise<void>;
  /** Synthesises all stacks, changes the template of one as the emulator needs it, and deploys that one. */
  deploy(
    stack: string,
    settings: Readonly<Record<string, string>>,
    adapt?: (template: Template) => void,
  ): Promise<Deployed>;
}

export function deployer(directory: string, environment: Readonly<Record<string, string>>): Deployer {
  const env = { ...process.env, ...environment };
  mkdirSync(directory, { recursive: true });
  let rounds = 0;
  return {
    async bootstrap(...places) {
      await run(join(BIN, 'cdklocal'), ['bootstrap', ...places.map((place) => `aws://${place}`)], {
        cwd: ROOT,
        env,
      });
    },
    async deploy(stack, settings, adapt = () => {}) {
      const assembly = join(directory, `assembly-${++rounds}`);
      const context = Object.entries(settings).flatMap(([name, value]) => ['-c', `holdfast:${name}=${value}`]);
      await run(join(BIN, 'cdk'), ['synth', stack, '--quiet', '--output', assembly, ...context], { cwd: ROOT, env });
      const file = join(assembly, `${stack}.template.json`);
      const template = JSON.parse(await readFile(file, 'utf8')) as Template;
      adapt(template);
      await writeFile(file, JSON.stringify(template));
      const outputs = join(directory, `outputs-${rounds}.json`);
      await run(
        join(BIN, 'cdklocal'),
        ['deploy', stack, '--app', assembly, '--require-approval', 'never', '--outputs-file', outputs],
        { cwd: ROOT, env, maxBuffer: 64 << 20 },
      );
      const printed = JSON.parse(await readFile(outputs, 'utf8')) as Record<string, Outputs>;
      return { outputs: printed[stack] ?? {}, template };
    },
  };
}

/** Takes out what the emulator's CloudFormation does not know. */
export function without(type: string): (template: Template) => void {
  return ({ Resources }) => {
    for (const [id, resource] of Object.entries(Resources)) if (resource.Type === type) delete Resources[id];
  };
}

/** Sets variables of every function that has any. */
export function withVariables(variables: Readonly<Record<string, string>>): (template: Template) => void {
  return ({ Resources }) => {
    for (const { Type, Properties } of Object.values(Resources)) {
      if (Type !== 'AWS::Lambda::Function') continue;
      const environment = Properties!.Environment as { Variables: Record<string, unknown> } | undefined;
      if (environment) Object.assign(environment.Variables, variables);
    }
  };
}
