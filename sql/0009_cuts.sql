-- Time travel: reading history, never changing data. Here are cuts: what had committed by a moment, and the conditions over the
-- trail that follow from one. What a record was at a cut is in 0015_past.sql, what may be asked in 0016_questions.sql.
--
-- Everything runs with the rights of the one who asks: an ordinary role needs SELECT on holdfast.trail, actors, tables and
-- table_versions, and sees the tenant that holdfast.tenant names. Only what tells when transactions committed runs as the owner.
--
-- Refusals: HF010 not a protected table, HF011 future, HF012 before history, HF013 no exact answer, HF014 schema changed,
-- HF015 no key, HF016 not a key, HF017 another tenant, HF018 history has a hole, HF019 not a usable argument.

-- What had committed by `moment`: what the snapshot sees, and these transactions besides.
create type holdfast.cut as (moment timestamptz, snapshot pg_snapshot, extra bigint[]);

create index horizons_xmax on holdfast.horizons ((pg_snapshot_xmax(snapshot)::text::bigint), id);

create function holdfast.iso(moment timestamptz) returns text
language sql stable set search_path = pg_catalog, pg_temp as $$
  select to_char(moment at time zone 'UTC', 'YYYY-MM-DD"T"HH24:MI:SS.US"Z"')
$$;

-- Closes the present moment, where that is harmless, and returns the last that is closed. Closing takes a lock until the
-- transaction ends, so it is not done in one that has been open for a while: somebody may be sitting before it.
create function holdfast.present() returns holdfast.closed_moment
language plpgsql security definer set search_path = pg_catalog, pg_temp as $$
declare
  last  holdfast.closed_moment;
begin
  if clock_timestamp() - transaction_timestamp() < interval '1 second' and not current_setting('transaction_read_only')::boolean
     and current_setting('transaction_isolation') in ('read committed', 'read uncommitted') then
    return holdfast.advance();
  end if;
  select h.id, h.until, h.snapshot into last from holdfast.horizons h order by h.id desc limit 1;
  return last;
end $$;

-- The cut at a moment; null: the present. The same moment gives the same cut for ever.
create function holdfast.resolve_cut(moment timestamptz) returns holdfast.cut
language plpgsql security definer set search_path = pg_catalog, pg_temp as $$
declare
  last  holdfast.closed_moment;
  base  holdfast.horizons;
  next  holdfast.horizons;
begin
  if moment > clock_timestamp() then
    raise exception '% is in the future', holdfast.iso(moment)
      using errcode = 'HF011', detail = format('The nearest moment is %s.', holdfast.iso(clock_timestamp()));
  end if;
  select h.id, h.until, h.snapshot into last from holdfast.horizons h order by h.id desc limit 1;
  if moment is null or last.until < moment then
    last := holdfast.present();
    if moment is null then
      return (last.until, last.snapshot, '{}'::bigint[])::holdfast.cut;
    elsif last.until < moment then
      raise exception 'history is closed up to %, which is before %', holdfast.iso(last.until), holdfast.iso(moment)
        using errcode = 'HF013', detail = format('The nearest moment is %s.', holdfast.iso(last.until)),
              hint = 'Ask in a new transaction that may write, READ COMMITTED; or run "holdfast maintain" every minute.';
    end if;
  end if;
  select * into base from holdfast.horizons h where h.moment <= resolve_cut.moment order by h.moment desc, h.id desc limit 1;
  if not found then
    raise exception 'history begins after %', holdfast.iso(moment)
      using errcode = 'HF012', detail = format('The nearest moment is %s.', (select holdfast.iso(min(h.moment)) from holdfast.horizons h)),
            hint = 'Choose a later moment, or restore from a backup that reaches back to it.';
  elsif moment <= base.until then
    return (moment, base.snapshot, '{}'::bigint[])::holdfast.cut;
  end if;
  select * into strict next from holdfast.horizons h where h.moment > resolve_cut.moment order by h.moment, h.id limit 1;
  if not next.exact then
    raise exception 'the server kept no commit times around %', holdfast.iso(moment)
      using errcode = 'HF013', detail = format('The nearest moments are %s and %s.', holdfast.iso(base.until), holdfast.iso(next.moment)),
            hint = 'Set track_commit_timestamp = on for the future.';
  end if;
  return (moment, base.snapshot, array(
    select x.xid from unnest(next.xids, next.committed) x(xid, at) where x.at <= resolve_cut.moment))::holdfast.cut;
end $$;

-- When a transaction committed, as horizons have it; for one that none sees yet, as the next one will. Null: not known.
create function holdfast.committed_at(xid bigint) returns timestamptz
language plpgsql stable security definer set search_path = pg_catalog, pg_temp as $$
declare
  h      holdfast.horizons;
  place  integer;
  at     timestamptz;
begin
  select * into h from holdfast.horizons g
   where pg_snapshot_xmax(g.snapshot)::text::bigint > committed_at.xid
     and pg_visible_in_snapshot(committed_at.xid::text::xid8, g.snapshot)
   order by pg_snapshot_xmax(g.snapshot)::text::bigint, g.id limit 1;
  place := array_position(h.xids, xid);
  if place is not null then
    return h.committed[place];
  elsif current_setting('track_commit_timestamp')::boolean then
    at := pg_xact_commit_timestamp((xid % 4294967296)::text::xid);
  end if;
  -- Horizons list what is in the trail; a transaction that only altered a table is not.
  if at is null then
    return h.moment;
  end if;
  select * into h from holdfast.horizons g where g.id < h.id or h.id is null order by g.id desc limit 1;
  return greatest(at, h.until + interval '1 microsecond');
end $$;

-- Whether a transaction had committed by the cut, one that is not in the trail too.
create function holdfast.in_cut(xid bigint, cut holdfast.cut) returns boolean
language sql stable set search_path = pg_catalog, pg_temp as $$
  select case when pg_visible_in_snapshot(xid::text::xid8, cut.snapshot) or xid = any (cut.extra) then true
              else coalesce(holdfast.committed_at(xid) <= cut.moment, false) end
$$;

-- The transactions that committed after `low` and by `high`.
create function holdfast.commits(low timestamptz, high timestamptz) returns table (xid bigint, committed_at timestamptz)
language sql stable security definer set search_path = pg_catalog, pg_temp as $$
  select x.xid, x.at
    from holdfast.horizons h, unnest(h.xids, h.committed) x(xid, at)
   where h.moment >= low and x.at > low and x.at <= high
     and h.id <= (select min(g.id) from holdfast.horizons g
                   where g.moment = (select min(f.moment) from holdfast.horizons f where f.moment >= high)
                   union all select max(g.id) from holdfast.horizons g order by 1 limit 1)
$$;

-- No change outside of the cut was written before this time. STABLE, so that it sees what the statement that asks sees: a
-- transaction that commits between two statements may have written long before.
create function holdfast.since(cut holdfast.cut) returns timestamptz
language plpgsql stable security definer set search_path = pg_catalog, pg_temp set plan_cache_mode = force_custom_plan as $$
declare
  last   holdfast.horizons;
  known  timestamptz;
  fresh  timestamptz;
begin
  select min(h.first_at) into known from holdfast.horizons h
   where h.id > coalesce((select g.id from holdfast.horizons g
                           where pg_snapshot_xmax(g.snapshot)::text::bigint <= pg_snapshot_xmin(cut.snapshot)::text::bigint
                           order by pg_snapshot_xmax(g.snapshot)::text::bigint desc, g.id desc limit 1), 0);
  select * into last from holdfast.horizons h order by h.id desc limit 1;
  select min(c.at) into fresh from holdfast.trail c
   where c.xid >= pg_snapshot_xmin(last.snapshot)::text::bigint and not pg_visible_in_snapshot(c.xid::text::xid8, last.snapshot);
  return least(known, fresh, 'infinity');
end $$;

-- Whether a row of the trail, alias c, is in the cut. `xid < xmax` is there for the index.
create function holdfast.in_cut_sql(cut holdfast.cut) returns text
language sql immutable set search_path = pg_catalog, pg_temp as $$
  select format('(c.xid < %s and pg_visible_in_snapshot(c.xid::text::xid8, %L::pg_snapshot)%s)',
                greatest(pg_snapshot_xmax(cut.snapshot)::text::bigint, (select max(x) + 1 from unnest(cut.extra) x)), cut.snapshot,
                case when cardinality(cut.extra) > 0 then format(' or c.xid < %s and c.xid = any (%L::bigint[])',
                  (select max(x) + 1 from unnest(cut.extra) x), cut.extra) end)
$$;

-- `narrow`: only one tenant's, user's or record's rows are asked for, and the index on those and the time finds them. With a bound
-- on xid beside it the planner would take the index on xid, and read what everyone has written since that was summarised.
create function holdfast.after_cut_sql(cut holdfast.cut, narrow boolean) returns text
language sql stable set search_path = pg_catalog, pg_temp set datestyle = 'ISO, YMD' set timezone = 'UTC' as $$
  select format('%sc.at >= (select holdfast.since((%L::timestamptz, %L::pg_snapshot, %L::bigint[])::holdfast.cut)) and not %s',
                case when not narrow then format('c.xid >= %s and ', pg_snapshot_xmin(cut.snapshot)) end,
                cut.moment, cut.snapshot, cut.extra, holdfast.in_cut_sql(cut))
$$;

-- In `high` and not in `low`. Nothing is written after it commits; a day allows for a clock that was set back.
create function holdfast.window_sql(low holdfast.cut, high holdfast.cut, narrow boolean) returns text
language sql stable set search_path = pg_catalog, pg_temp set datestyle = 'ISO, YMD' set timezone = 'UTC' as $$
  select format('%s and %s and c.at < %L::timestamptz', holdfast.after_cut_sql(low, narrow), holdfast.in_cut_sql(high), high.moment + interval '1 day')
$$;

-- It is called by the functions above and nobody else has a use for it.
revoke all on function holdfast.present() from public;
