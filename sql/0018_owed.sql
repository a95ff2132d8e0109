-- A scheduled backup that has not come: since when that is known, and which look noticed it, so that people are told once.
alter table holdfast.tenant_backup_schedules
  add column owed_since timestamptz,
  add column noticed_by text;
create index tenant_backup_schedules_owed on holdfast.tenant_backup_schedules (noticed_by) where owed_since is not null;
