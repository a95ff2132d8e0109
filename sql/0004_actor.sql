-- Who acts. The application calls this in its transaction; the context ends with it, so it is safe behind a pooler that hands
-- a session from one client to the next.
--
-- The context is stored once, under a digest of itself, and each change carries only that digest and the user's id. Erasing a
-- person later means scrubbing one row.
create function holdfast.set_actor(
  user_id text, user_email text default null, session_id text default null, ip inet default null, user_agent text default null)
returns void
language plpgsql security definer set search_path = pg_catalog, pg_temp as $$
declare
  address  uuid := md5(jsonb_build_array(user_id, user_email, session_id, host(ip), user_agent)::text)::uuid;
begin
  perform set_config('holdfast.actor', address::text || coalesce(set_actor.user_id, ''), true);
  -- Two first uses at once store two equal rows. A unique constraint would make the second wait for the first to commit.
  if not exists (select from holdfast.actors a where a.id = address) then
    insert into holdfast.actors (id, user_id, user_email, session_id, ip_address, user_agent)
    values (address, set_actor.user_id, set_actor.user_email, set_actor.session_id, ip, set_actor.user_agent);
  end if;
end $$;
