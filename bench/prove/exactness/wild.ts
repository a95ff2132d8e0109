/** Writers that do what the sample's people do not: nested triggers, changes of key, rows that come and go in one transaction. */
import { setTimeout as sleep } from 'node:timers/promises';
import type pg from 'pg';
import { connect } from '../../../core/sql.ts';
import { Random } from '../suite.ts';

/** Effects that are logged before their cause: a trigger changes the very row that fires it, or another one of the tenant. */
export const NESTED_TRIGGERS = `
create function public.echo() returns trigger language plpgsql as $$
begin
  if tg_op = 'INSERT' and new.name like 'wild%' then
    update public.tags set color = '#' || substr(md5(new.name), 1, 6) where id = new.id;
  elsif tg_op = 'UPDATE' and new.name like 'twice%' and old.name not like 'twice%' then
    update public.tags set name = left(new.name || '!', 60), color = '#000000' where id = new.id;
    update public.organizations set settings = settings || jsonb_build_object('echo', new.id) where id = new.organization_id;
  end if;
  return null;
end $$;
create trigger aa_echo after insert or update on public.tags for each row execute function public.echo();
`;

/** Runs until `stopped` says so; returns how many transactions were committed. */
export async function runWild(
  url: string,
  tenants: readonly string[],
  seed: number,
  stopped: () => boolean,
): Promise<number> {
  const client = await connect(url, 'wild');
  const random = new Random(seed);
  let committed = 0;
  try {
    while (!stopped()) {
      await sleep(random.int(60));
      try {
        await client.query('begin');
        await step(client, random, random.pick(tenants));
        await client.query(random.chance(0.1) ? 'rollback' : 'commit');
        committed += 1;
      } catch (error) {
        await client.query('rollback');
        if (!/^(40|23|55)/.test((error as { code?: string }).code ?? '')) throw error;
      }
    }
    return committed;
  } finally {
    await client.end();
  }
}

async function step(client: pg.Client, random: Random, tenant: string): Promise<void> {
  const name = `wild ${random.int(1e9)}`;
  switch (random.int(7)) {
    case 0: // inserted, changed by its own trigger, changed again, and sometimes gone again
      await client.query('insert into public.tags (organization_id, name) values ($1, $2)', [tenant, name]);
      await client.query("update public.tags set name = 'twice ' || name where name = $1", [name]);
      if (random.chance(0.3))
        await client.query('delete from public.tags where organization_id = $1 and name like $2', [
          tenant,
          `%${name}%`,
        ]);
      return;
    case 1: // another key
      await client.query('insert into public.tags (organization_id, name) values ($1, $2)', [tenant, name]);
      await client.query('update public.tags set id = default where name = $1', [name]);
      return;
    case 2: // a key that a later row takes over within the transaction
      await client.query(
        `with gone as (delete from public.tags where id = (select min(id) from public.tags t where organization_id = $1 and name like '%wild%'
                         and not exists (select from public.entry_tags e where e.tag_id = t.id)) returning *)
         insert into public.tags (id, organization_id, name) overriding system value select -id, organization_id, left('again ' || name, 60) from gone`,
        [tenant],
      );
      return;
    case 3: // savepoints
      await client.query(
        "update public.users set display_name = display_name || '.' where id = (select id from public.users where organization_id = $1 order by id limit 1)",
        [tenant],
      );
      await client.query('savepoint a');
      await client.query(
        'delete from public.comments where entry_id = (select id from public.journal_entries where organization_id = $1 limit 1)',
        [tenant],
      );
      await client.query('rollback to savepoint a');
      await client.query(
        'update public.users set display_name = left(display_name, 20), preferences = \'{"a": null}\' where organization_id = $1',
        [tenant],
      );
      return;
    case 4: // swapped unique values within one transaction
      await client.query(
        `update public.users u set email = case when u.id = p.a then 'parked-' || u.email else u.email end
           from (select min(id::text)::uuid as a from public.users where organization_id = $1) p where u.id = p.a`,
        [tenant],
      );
      return;
    case 5: // a row moves to another partition
      await client.query(
        `update public.activity_events set occurred_at = occurred_at + interval '31 days'
          where id = (select max(id) from public.activity_events where organization_id = $1)`,
        [tenant],
      );
      return;
    default: // values that text formats lose
      await client.query(
        `update public.journal_entries set sentiment = sentiment::text::numeric + 0.0000, attributes = '{"n": null, "x": 1.0}',
                people = array['a,b', 'c"d', null, '\\', ''] where id = (select id from public.journal_entries where organization_id = $1 order by random() limit 1)`,
        [tenant],
      );
  }
}
