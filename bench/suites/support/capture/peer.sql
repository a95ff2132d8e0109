create schema peer;
create table peer.audit_trail (
  id            bigint generated always as identity primary key,
  organization  text,
  table_name    text not null,
  record_id     text,
  action        text not null,
  user_id       text,
  user_email    text,
  changes       jsonb,
  metadata      jsonb,
  session_id    text,
  ip_address    inet,
  user_agent    text,
  created_at    timestamptz not null default clock_timestamp()
);
create index on peer.audit_trail (organization, created_at);
create index on peer.audit_trail (user_id, created_at);
create index on peer.audit_trail (table_name, record_id, created_at);

create function peer.write() returns trigger language plpgsql security definer set search_path = pg_catalog, pg_temp as $$
declare
  was     jsonb := case when tg_op <> 'INSERT' then to_jsonb(old) end;
  is_now  jsonb := case when tg_op <> 'DELETE' then to_jsonb(new) end;
begin
  insert into peer.audit_trail (organization, table_name, record_id, action, user_id, user_email, changes, session_id, ip_address, user_agent)
  values (coalesce(is_now, was) ->> 'tenant_id', tg_table_schema || '.' || tg_table_name, coalesce(is_now, was) ->> 'id', lower(tg_op),
          nullif(current_setting('peer.user_id', true), ''), nullif(current_setting('peer.user_email', true), ''),
          jsonb_build_object('old', was, 'new', is_now),
          nullif(current_setting('peer.session_id', true), ''), nullif(current_setting('peer.ip_address', true), '')::inet,
          nullif(current_setting('peer.user_agent', true), ''));
  return null;
end $$;
create trigger peer after insert or update or delete on public.accounts for each row execute function peer.write();
