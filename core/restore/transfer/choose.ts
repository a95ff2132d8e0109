/** Which tables are copied. */
import { didYouMean } from '../../datamap/suggest.ts';
import type { BoundMap, BoundTable } from '../../datamap/types.ts';
import { RestoreError } from '../../errors.ts';
import { copyable } from './source.ts';

/** @throws RestoreError HF_TABLE_UNKNOWN, HF_TRANSFER_TABLE */
export function chooseTables(
  bound: BoundMap,
  tables: readonly string[] | undefined,
  except: readonly string[] = [],
): BoundTable[] {
  const all = copyable(bound);
  for (const name of [...(tables ?? []), ...except]) requireCopyable(bound, all, name);
  return all.filter((t) => (tables?.includes(t.name) ?? true) && !except.includes(t.name));
}

function requireCopyable(bound: BoundMap, all: readonly BoundTable[], name: string): void {
  if (all.some((t) => t.name === name)) return;
  const table = bound.tables.find((t) => t.name === name);
  if (!table) {
    throw new RestoreError('HF_TABLE_UNKNOWN', `There is no protected table ${name}.`, {
      action: `Name tables as holdfast.yaml does.${didYouMean(
        name,
        all.map((t) => t.name),
      )}`,
      details: { table: name },
    });
  }
  const why = table.tenant ? 'is the table of tenants: the other tenant has its own row' : 'belongs to no tenant';
  throw new RestoreError('HF_TRANSFER_TABLE', `${name} cannot be copied into another tenant: it ${why}.`, {
    action: 'Leave it out; references to it are kept.',
    details: { table: name },
  });
}
