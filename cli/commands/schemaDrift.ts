import { readSchemaObject } from '../../core/restore/schemaObject.ts';
import { slabReader } from '../../core/restore/storePlan.ts';
import { schemaDrift } from '../../core/schema/drift.ts';
import { readManifest } from '../../core/snapshot/manifest.ts';
import { handle, type Register } from '../command.ts';
import { table } from '../output.ts';
import { contextOf } from '../runtime.ts';

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
    const rows = differences.map((d) => [d.change, d.kind, d.name, d.before, d.after]);
    return {
      json: { differences },
      text: rows.length
        ? table(['change', 'kind', 'name', 'before', 'after'], rows)
        : 'The schema is the same in both.',
    };
  });
};
