-- Undoing a session: its contexts are found by an index, and when each was first used bounds where its changes stand in the
-- trail. Nothing is added to a change itself.

alter table holdfast.actors add column first_at timestamptz;  -- null: from before this column
alter table holdfast.actors alter column first_at set default transaction_timestamp();
create index actors_session on holdfast.actors (session_id) where session_id is not null;
