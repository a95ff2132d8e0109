/** Tables that no tenant owns. */
import { ident, tableSql } from '../../sql.ts';
import { formatReach } from '../notation.ts';
import { propose } from '../propose.ts';
import type { DataMap, Reach, TableName } from '../types.ts';
import type { Scene } from './rows.ts';
import type { IntegrityFinding } from './types.ts';

/** A shared table may be meant; one from which a path leads to a tenant hardly is. */
export function unownedTables({ catalog, bound }: Scene, map: DataMap): IntegrityFinding[] {
  const reachable = proposedReach(catalog, map);
  const excluded = new Set(map.excluded);
  const mapped = new Map(bound.tables.map((t) => [t.name, t]));
  return catalog.tables.flatMap((table): IntegrityFinding[] => {
    if (excluded.has(table.name) || mapped.get(table.name)?.tenant || table.name === map.tenants.table) return [];
    const reach = reachable.get(table.name);
    const about = { table: table.name, columns: [], rows: [], count: null };
    if (!mapped.has(table.name)) {
      return [
        {
          ...about,
          code: 'HF_TABLE_UNMAPPED',
          severity: 'error',
          message: `${table.name} is not in the data map: no tenant owns it, and it is in no backup.`,
          mends: [{ what: '"holdfast doctor" prints what to write into holdfast.yaml', sql: [] }],
        },
      ];
    }
    if (reach) {
      return [
        {
          ...about,
          code: 'HF_TABLE_UNOWNED',
          severity: 'warning',
          columns: reach.kind === 'column' ? [reach.column] : reach.columns,
          message: `${table.name} is shared by all tenants in the data map, although its rows lead to one: they would be in every tenant's backup.`,
          mends: [{ what: `write into holdfast.yaml, under ${table.name}: tenant: ${formatReach(reach)}`, sql: [] }],
        },
      ];
    }
    const { table: tenants, key } = map.tenants;
    const type = catalog.tables.find((t) => t.name === tenants)?.columns.find((c) => c.name === key)?.type;
    return [
      {
        ...about,
        code: 'HF_TABLE_WITHOUT_TENANT',
        severity: 'advice',
        message: `${table.name} belongs to no tenant; its rows are shared by all. If they are not, give them one.`,
        mends:
          type === undefined
            ? []
            : [
                {
                  what: 'add the column, fill it, and then require it',
                  sql: [
                    `alter table ${tableSql(table.name)} add column tenant_id ${type} references ${tableSql(tenants)} (${ident(key)})`,
                  ],
                },
              ],
      },
    ];
  });
}

/** How `init` would reach the tenant of each table. */
function proposedReach(catalog: Scene['catalog'], map: DataMap): ReadonlyMap<TableName, Reach> {
  const there = catalog.tables.find((t) => t.name === map.tenants.table);
  if (!there?.uniqueKeys.some((k) => k.length === 1 && k[0] === map.tenants.key)) return new Map();
  const { map: proposed } = propose(catalog, { tenantTable: map.tenants.table, tenantKey: map.tenants.key });
  return new Map(proposed.tables.flatMap((t) => (t.tenant ? [[t.name, t.tenant] as const] : [])));
}
