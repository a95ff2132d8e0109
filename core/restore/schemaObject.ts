/** The schema and the sequences out of a backup. */
import { IntegrityError } from '../errors.ts';
import type { SequenceValue } from '../schema/sequences.ts';
import type { SchemaRecord } from '../schema/types.ts';
import { readSlab, type SlabReader } from '../snapshot/readSlab.ts';
import { SCHEMA, SEQUENCES } from '../snapshot/schemaObject.ts';
import type { Manifest } from '../snapshot/types.ts';

/** @throws IntegrityError HF_OBJECT_MISSING when the backup carries no schema */
export async function readSchemaObject(
  reader: SlabReader,
  manifest: Manifest,
): Promise<{ schema: SchemaRecord; sequences: SequenceValue[] }> {
  const object = manifest.objects.find((o) => o.kind === 'schema');
  const slab = object?.slabs[0];
  if (!object || !slab) {
    throw new IntegrityError('HF_OBJECT_MISSING', `Backup ${manifest.id} carries no schema.`, {
      action: 'Restore from another backup.',
      details: { backup: manifest.id },
    });
  }
  const { sections } = await readSlab(reader, manifest, object, slab);
  const json = (table: string): unknown => {
    const text = sections.find((s) => s.table === table)?.data.toString() ?? 'null\n';
    // COPY doubles each backslash; JSON leaves nothing else to escape.
    return JSON.parse(text.slice(0, -1).replaceAll('\\\\', '\\'));
  };
  return { schema: json(SCHEMA) as SchemaRecord, sequences: (json(SEQUENCES) ?? []) as SequenceValue[] };
}
