import { readSchemaObject } from '../../core/restore/schemaObject.ts';
import { slabReader } from '../../core/restore/storePlan.ts';
import { type Difference, schemaDrift } from '../../core/schema/drift.ts';
import { readManifest } from '../../core/snapshot/manifest.ts';
import { handle, type Register } from '../command.ts';
import { bold, green, printable, red } from '../output.ts';
import { contextOf } from '../runtime.ts';

/** As `diff` would: the lines that went and the lines that came. A view or a function has many, so no table could hold them. */
function paragraph({ change, kind, name, before = '', after = '' }: Difference): string {
  const [old, now] = [before.split('\n'), after.split('\n')];
  const show = (lines: readonly string[], others: readonly string[], sign: string, style: (text: string) => string) =>
    lines
      .filter((line) => line.trim() !== '' && !others.includes(line))
      .map((line) => style(`  ${sign} ${printable(line)}`));
  return [
    `${bold(change)} ${kind} ${printable(name)}`,
    ...show(old, now, '-', red),
    ...show(now, old, '+', green),
  ].join('\n');
}

export const schemaDriftCommand: Register = (program) => {
  const command = program
    .command('schema-drift <before> <after>')
    .summary('what changed in the schema between two backups')
    .description('Says what changed in the schema between two backups.');
  handle(command, async (options, before, after) => {
    const context = await contextOf(options, 'store');
    const reader = await slabReader(context);
    const schemaOf = async (id: string) => (await readSchemaObject(reader, await readManifest(context, id))).schema;
    const differences = schemaDrift(await schemaOf(before!), await schemaOf(after!));
    return {
      json: { differences },
      text: differences.length ? differences.map(paragraph).join('\n') : 'The schema is the same in both.',
    };
  });
};
