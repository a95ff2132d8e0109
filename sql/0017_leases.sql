-- A backup whose steps are processes of their own (a workflow): which execution it is, and until when that has its scope. A run
-- in one process leaves both empty; it holds an advisory lock instead.
alter table holdfast.tenant_backups
  add column execution    text,
  add column leased_until timestamptz;
create index tenant_backups_execution on holdfast.tenant_backups (execution) where execution is not null;
