-- Moments: which transactions had committed by when. See docs/architecture.md, "Moments and cuts".

-- What the running statement sees, without this transaction itself: pg_current_snapshot() leaves the own xid out of its list
-- of running transactions, and a snapshot that is kept must not claim changes that may yet be rolled back.
create function holdfast.settled_snapshot() returns pg_snapshot
language plpgsql stable set search_path = pg_catalog, pg_temp as $$
declare
  s    pg_snapshot := pg_current_snapshot();
  own  xid8 := pg_current_xact_id_if_assigned();
begin
  if own is null or not pg_visible_in_snapshot(own, s) then
    return s;
  end if;
  return holdfast.make_snapshot(
    pg_snapshot_xmax(s)::text::bigint,
    array(select x::text::bigint from pg_snapshot_xip(s) x) || own::text::bigint);
end $$;

create function holdfast.make_snapshot(xmax bigint, running bigint[]) returns pg_snapshot
language sql immutable set search_path = pg_catalog, pg_temp as $$
  select (coalesce(min(x), xmax) || ':' || xmax || ':' || coalesce(string_agg(x::text, ',' order by x), ''))::pg_snapshot
    from unnest(running) x
$$;

-- A horizon without its transactions: a function's result is copied whole, and there are tens of thousands in a busy minute.
create type holdfast.closed_moment as (id bigint, until timestamptz, snapshot pg_snapshot);

-- Appends the present moment as a horizon and returns it. In a REPEATABLE READ transaction, which cannot see the present, it
-- returns the last horizon that is visible.
--
-- It reads the blocks of the trail that the index on xid has not summarised yet: those of the time since autovacuum last looked,
-- a minute or a few by default, some 0.3 ms for 1,000 changes. A B-tree on xid would find just the new ones, and costs every
-- change 22 bytes and a second place to write; summarising here takes a lock that vacuums hold, and the owner's rights.
create function holdfast.advance() returns holdfast.closed_moment
language plpgsql set search_path = pg_catalog, pg_temp as $$
declare
  batch     constant integer := 50000;
  last      holdfast.closed_moment;
  made      holdfast.closed_moment;
  s         pg_snapshot;
  xids      bigint[];
  times     timestamptz[];
  first_at  timestamptz;
  known     boolean;
  tracked   constant boolean := current_setting('track_commit_timestamp')::boolean;
  upto      timestamptz;
  n         integer;
  done      integer := 0;
  xmax      bigint;
begin
  if current_setting('transaction_isolation') in ('repeatable read', 'serializable') then
    select h.id, h.until, h.snapshot into last from holdfast.horizons h order by h.id desc limit 1;
    return last;
  end if;
  perform pg_advisory_xact_lock(hashtextextended('holdfast.advance', 0));
  select h.id, h.until, h.snapshot into last from holdfast.horizons h order by h.id desc limit 1;

  -- One statement, so that the snapshot that is kept is the one that the trail was read with.
  with present as materialized (
    select holdfast.settled_snapshot() as s
  ), new as materialized (
    select t.xid, min(t.at) as first_at from holdfast.trail t, present p
     where t.xid >= coalesce(pg_snapshot_xmin(last.snapshot)::text::bigint, 0)
       and (last.id is null or not pg_visible_in_snapshot(t.xid::text::xid8, last.snapshot))
       and pg_visible_in_snapshot(t.xid::text::xid8, p.s)
     group by t.xid
  ), timed as (
    -- A transaction that had a commit time but was not yet visible at the last horizon became visible after it.
    -- The server has no time for one that was frozen since, or that committed while the setting was off.
    select new.xid, new.first_at, c.at as committed, greatest(c.at, last.until + interval '1 microsecond') as effective
      from new, lateral (
        select case when tracked then pg_xact_commit_timestamp((new.xid % 4294967296)::text::xid) end as at) c
  )
  select p.s, r.xids, r.times, r.first_at, coalesce(r.known, true)
    into s, xids, times, first_at, known
    from present p, (
      select array_agg(xid order by effective, xid) as xids, array_agg(effective order by effective, xid) as times,
             min(timed.first_at) as first_at, bool_and(committed is not null) as known
        from timed) r;

  n := coalesce(cardinality(xids), 0);
  upto := greatest(clock_timestamp(), times[n], last.until + interval '1 microsecond');
  if n = 0 and last.id is not null then
    update holdfast.horizons h set until = upto, snapshot = s where h.id = last.id returning h.id, h.until, h.snapshot into made;
    return made;
  end if;
  if not known then
    times := array_fill(upto, array[n]);
  end if;

  -- A long pause is cut into several horizons, so that no array grows without bound. A horizon in between sees all but the
  -- transactions of later batches; commit order nearly follows xid order, so those are few.
  while known and n - done > batch loop
    xmax := greatest((select max(x) + 1 from unnest(xids[done + 1 : done + batch]) x), xmax,
                     coalesce(pg_snapshot_xmax(last.snapshot)::text::bigint, 0));
    insert into holdfast.horizons (moment, until, snapshot, xids, committed, first_at)
    values (times[done + batch], times[done + batch],
            holdfast.make_snapshot(xmax, array(
              select x from unnest(xids[done + batch + 1 :]) x where x < xmax
              union select x::text::bigint from pg_snapshot_xip(s) x where x::text::bigint < xmax)),
            xids[done + 1 : done + batch], times[done + 1 : done + batch], first_at);
    done := done + batch;
  end loop;
  insert into holdfast.horizons (moment, until, snapshot, xids, committed, first_at, exact)
  values (upto, upto, s, coalesce(xids[done + 1 :], '{}'), coalesce(times[done + 1 :], '{}'), first_at, known)
  returning horizons.id, horizons.until, horizons.snapshot into made;
  return made;
end $$;
