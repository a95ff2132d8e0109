/** What is wrong with `files:` of holdfast.yaml, as findings of `holdfast doctor`. The places themselves are not asked. */
import { bindCatalog, installed } from '../datamap/bind.ts';
import type { Finding } from '../datamap/finding.ts';
import { introspect } from '../datamap/introspect.ts';
import type { DataMap } from '../datamap/types.ts';
import { ConfigError } from '../errors.ts';
import type { Client } from '../sql.ts';
import { checkSet } from './owners.ts';
import type { FileSetSetting } from './types.ts';

export async function fileSetFindings(
  client: Client,
  map: DataMap,
  sets: readonly FileSetSetting[],
): Promise<Finding[]> {
  if (sets.length === 0) return [];
  const { bound } = bindCatalog(await introspect(client), map, await installed(client));
  return sets.flatMap((set): Finding[] => {
    try {
      const table = checkSet(bound, set);
      if (table.person) return [];
      return [
        {
          code: 'HF_FILES_PERSON',
          severity: 'warning',
          table: set.table,
          message: `Files of ${set.name} belong to no person, because ${set.table} has none: no erasure makes them unreadable.`,
          mend: `Give ${set.table} a "person:" in holdfast.yaml, unless its files tell of nobody.`,
        },
      ];
    } catch (error) {
      if (!(error instanceof ConfigError)) throw error;
      return [{ code: error.code, severity: 'error', table: set.table, message: error.message, mend: error.action }];
    }
  });
}
