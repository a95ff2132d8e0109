-- Copies of persons ----------------------------------------------------------------------------------------------------

-- A person whose rows were copied into another tenant stands there under another key. Erasing them means erasing their copies.
create table holdfast.person_copies (
  tenant       text collate "C" not null,
  person       text collate "C" not null,
  copy_tenant  text collate "C" not null,
  copy         text collate "C" not null,
  xid          bigint not null,
  at           timestamptz not null default clock_timestamp()
);
create index person_copies_person on holdfast.person_copies (person);
create index person_copies_copy on holdfast.person_copies (copy);

alter table holdfast.person_copies enable row level security;
alter table holdfast.person_copies force row level security;
create policy operator on holdfast.person_copies to current_user using (coalesce(current_setting('holdfast.tenant', true), '') = '');
