/**
 * Erased persons stay erased (the erasure ledger runs before anyone is let in): whoever the ledger names is read as if the key
 * were gone already, even where a copy of the key has survived. Their rows never reach the new database.
 */
import type { ErasureLedger, PersonKeyStore } from '../ports.ts';
import type { SlabReader } from '../snapshot/readSlab.ts';

export function withoutErased(reader: SlabReader, ledger: ErasureLedger): SlabReader {
  const erased = new Map<string, Promise<ReadonlySet<string>>>();
  const of = (tenant: string): Promise<ReadonlySet<string>> => {
    let known = erased.get(tenant);
    if (!known) {
      known = ledger.erased(tenant).then((refs) => new Set(refs));
      erased.set(tenant, known);
    }
    return known;
  };
  const persons: PersonKeyStore = {
    obtain: (tenant, ids) => reader.persons.obtain(tenant, ids),
    async lookup(tenant, refs) {
      const gone = await of(tenant);
      return reader.persons.lookup(
        tenant,
        refs.filter((ref) => !gone.has(ref)),
      );
    },
    async state(tenant, ref) {
      return (await of(tenant)).has(ref) ? 'erased' : reader.persons.state(tenant, ref);
    },
  };
  return { ...reader, persons };
}
