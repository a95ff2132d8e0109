/** The data map of the sample: what `holdfast init` proposes for it, after a person has looked it over. */
import type { ColumnClass, ColumnRule, DataMap, Reach, TableRule } from '../core/datamap/types.ts';

const column = (name: string): Reach => ({ kind: 'column', column: name });
const via = (name: string, parent: string, parentColumn = 'id'): Reach => ({
  kind: 'via',
  columns: [name],
  parent: `public.${parent}`,
  parentColumns: [parentColumn],
});

const rule = (columnClass: ColumnClass): ColumnRule => ({
  class: columnClass,
  sealed: columnClass === 'personal' || columnClass === 'sensitive',
});

interface Classes {
  readonly none?: string;
  readonly internal?: string;
  readonly personal?: string;
  readonly sensitive?: string;
}

function table(
  name: string,
  reach: { tenant?: Reach; person?: Reach; erase?: 'anonymise' },
  classes: Classes,
): TableRule {
  const columns: Record<string, ColumnRule> = {};
  for (const [columnClass, names] of Object.entries(classes) as [ColumnClass, string][]) {
    for (const each of names.split(' ')) columns[each] = rule(columnClass);
  }
  const { erase = 'delete', ...owners } = reach;
  return { name: `public.${name}`, ...owners, columns, erase };
}

const TENANT = column('organization_id');

export function sampleMap(): DataMap {
  return {
    tenants: { table: 'public.organizations', key: 'id' },
    persons: { table: 'public.users', key: 'id' },
    tables: [
      table('countries', {}, { none: 'code name currency' }),
      table('plans', {}, { none: 'id name monthly_price limits' }),
      table(
        'organizations',
        { tenant: column('id') },
        { none: 'id created_at', internal: 'slug name plan_id country_code address allowed_days settings' },
      ),
      table(
        'subscriptions',
        { tenant: TENANT },
        { none: 'id organization_id', internal: 'plan_id period invoice_numbers price canceled_at' },
      ),
      table('teams', { tenant: TENANT }, { none: 'id organization_id lead_id created_at', internal: 'name' }),
      table(
        'users',
        { tenant: TENANT, person: column('id') },
        {
          none: 'id organization_id role team_id active created_at',
          internal: 'email_domain',
          personal: 'email display_name password_hash time_zone reminder_after preferences last_seen_at',
        },
      ),
      table(
        'sessions',
        { tenant: via('user_id', 'users'), person: column('user_id') },
        { none: 'id user_id started_at ended_at', personal: 'token_hash ip user_agent' },
      ),
      table(
        'folders',
        { tenant: TENANT, person: column('owner_id') },
        { none: 'id organization_id owner_id parent_id position', personal: 'name' },
      ),
      table(
        'journal_entries',
        { tenant: TENANT, person: column('author_id') },
        {
          none: 'id organization_id author_id folder_id entry_date created_at updated_at body_length',
          personal: 'attributes',
          sensitive: 'title body mood sentiment people',
        },
      ),
      table(
        'voice_notes',
        { tenant: via('entry_id', 'journal_entries'), person: via('entry_id', 'journal_entries') },
        {
          none: 'id entry_id status duration byte_size recorded_at',
          internal: 'storage_key sha256',
          sensitive: 'waveform',
        },
      ),
      table(
        'transcription_segments',
        { tenant: via('voice_note_id', 'voice_notes'), person: via('voice_note_id', 'voice_notes') },
        { none: 'voice_note_id ordinal milliseconds confidence', sensitive: 'transcript' },
      ),
      table('tags', { tenant: TENANT }, { none: 'id organization_id created_at', internal: 'name color' }),
      table(
        'entry_tags',
        { tenant: via('entry_id', 'journal_entries'), person: via('entry_id', 'journal_entries') },
        { none: 'entry_id tag_id tagged_by tagged_at' },
      ),
      table(
        'comments',
        { tenant: via('entry_id', 'journal_entries'), person: column('author_id') },
        { none: 'id entry_id parent_id author_id created_at', sensitive: 'body' },
      ),
      table(
        'writing_days',
        { tenant: via('user_id', 'users'), person: column('user_id') },
        { none: 'user_id day entries letters' },
      ),
      table(
        'activity_events',
        { tenant: TENANT, person: column('user_id') },
        { none: 'id occurred_at organization_id user_id kind subject_id', personal: 'ip details' },
      ),
    ],
    excluded: [],
  };
}
