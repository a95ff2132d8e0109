/** The data map of schema.sql. */
import type { DataMap, Reach, TableRule } from '../../../core/datamap/types.ts';

const column = (name: string): Reach => ({ kind: 'column', column: name });
const via = (name: string, parent: string): Reach => ({
  kind: 'via',
  columns: [name],
  parent: `app.${parent}`,
  parentColumns: ['id'],
});
const table = (name: string, tenant: Reach, person?: Reach): TableRule => ({
  name: `app.${name}`,
  tenant,
  ...(person && { person }),
  columns: {},
  erase: 'delete',
});

export const captureMap: DataMap = {
  tenants: { table: 'app.orgs', key: 'id' },
  persons: { table: 'app.people', key: 'id' },
  tables: [
    table('orgs', column('id')),
    table('teams', column('org')),
    table('people', via('team', 'teams'), column('id')),
    table('items', via('person', 'people'), via('person', 'people')),
    table('notes', column('org')),
    table('events', column('org')),
    table('scraps', column('org')),
  ],
  excluded: ['oracle.log'],
};

/** Key columns, as the replay needs them. */
export const KEYS: Readonly<Record<string, readonly string[]>> = {
  orgs: ['id'],
  teams: ['id'],
  people: ['id'],
  items: ['a', 'b'],
  notes: ['id'],
  events: ['id', 'day'],
  scraps: ['id'],
};

/** A row's tenant, by a query that shares nothing with the triggers. */
export const TENANT_OF: Readonly<Record<string, string>> = {
  orgs: 'r.id',
  teams: 'r.org',
  people: '(select t.org from app.teams t where t.id = r.team)',
  items: '(select t.org from app.people p join app.teams t on t.id = p.team where p.id = r.person)',
  notes: 'r.org',
  events: 'r.org',
  scraps: 'r.org',
};
