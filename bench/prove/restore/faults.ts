/**
 * Every kind of constraint in the way of an undo, among changes that nothing stands in the way of: refused by name, under every
 * policy that could write it, and nothing of it is done.
 */
import type { HoldfastError } from '../../../core/errors.ts';
import type { UndoPlan, UndoRequest } from '../../../core/restore/undo/types.ts';
import { applyUndo, previewUndo } from '../../../core/restore/undo/undo.ts';
import { type World, world } from '../../../test/undo/world.ts';
import { compare, readState } from './state.ts';

interface Fault {
  readonly name: string;
  /** What the session does besides its other work: the undo of it meets the fault. */
  readonly done: readonly string[];
  /** What has happened since. */
  readonly since: readonly string[];
  /** Schema changes since, and what takes them back. */
  readonly schema?: readonly [string, string];
  /** What the refusal must name. */
  readonly named: readonly string[];
  /** Whether leaving rows out can help: then the policy skip does the rest. */
  readonly skippable?: true;
  /** It is a conflict too, which skip and force decide. */
  readonly decidable?: true;
}

const FAULTS: readonly Fault[] = [
  {
    name: 'a unique value that another row has taken',
    done: ["update person set email = 'moved' where id = 10"],
    since: ["update person set email = 'ann@x' where id = 11"],
    named: ['person_email_key', '10', '11'],
    skippable: true,
  },
  {
    name: 'a key that another row has taken',
    done: ["update room set number = 9 where number = 1 and tenant_id = 'a'"],
    since: ["insert into room values ('a', 'x', 1, '[70,75)')"],
    named: ['room', '1'],
    decidable: true,
  },
  {
    name: 'a unique index over an expression',
    done: ["update plain set value = 'other' where id = 1"],
    since: ["update plain set value = 'ONE' where id = 2"],
    schema: [
      'create unique index plain_lower on public.plain (lower(value)) where id < 100',
      'drop index public.plain_lower',
    ],
    named: ['plain_lower', 'one'],
  },
  {
    name: 'a unique generated column',
    done: ["update person set note = 'other' where id = 10"],
    since: ["update person set note = 'FIRST' where id = 11"],
    schema: ['create unique index person_shout on public.person (shout)', 'drop index public.person_shout'],
    named: ['person_shout', 'FIRST'],
  },
  {
    name: 'a parent that is gone, and was not deleted by the session',
    done: ['update person set team_id = 2 where id = 10'],
    since: ['update person set team_id = 2 where id = 11', 'delete from team where id = 1'],
    named: ['person_team_id_fkey', '10', 'team 1'],
    skippable: true,
  },
  {
    name: 'a shared parent that is gone',
    done: ['update plain set kind = 2 where id = 1'],
    since: [],
    schema: [
      `insert into public.shared values (7, 'seven'), (2, 'two'); alter table public.plain add kind int references public.shared;
       update public.plain set kind = 7 where id = 1`,
      'alter table public.plain drop column kind; delete from public.shared where id in (2, 7)',
    ],
    named: ['plain_kind_fkey', '7'],
  },
  {
    name: 'a row that somebody has hung on the one that goes',
    done: ["insert into person (id, tenant_id, team_id, email) values (12, 'a', 1, 'cat@x')"],
    since: ["insert into task (tenant_id, person_id, title) values ('a', 12, 'call')"],
    named: ['task_person_id_fkey', 'person 12'],
    skippable: true,
  },
  {
    name: 'a row of an unprotected table that points at the one that goes',
    done: ["insert into plain values (50, 'a', 'new')"],
    since: ['insert into loose values (50)'],
    named: ['loose_plain_fkey', '50'],
  },
  {
    name: 'a check over two fields of which somebody has changed the other',
    done: ['update person set high = 9 where id = 10'],
    since: ['update person set low = 8 where id = 10'],
    named: ['person_check', '10'],
  },
  {
    name: 'a check that has come since',
    done: ['update person set age = 60 where id = 10'],
    since: [],
    schema: [
      'alter table public.person add constraint grown check (age > 30 or tenant_id <> $$a$$)',
      'alter table public.person drop constraint grown',
    ],
    named: ['grown', '10'],
  },
  {
    name: 'an exclusion constraint',
    done: ["update room set during = '[50,55)' where number = 1 and tenant_id = 'a'"],
    since: ["insert into room values ('a', 'x', 3, '[2,4)')"],
    named: ['room_during_excl', '[2,4)'],
  },
  {
    name: 'a field that may not be null any more',
    done: ['update person set slug = $$abc$$ where id = 11'],
    since: ["update person set slug = 'z' where slug is null"],
    schema: ['alter table public.person alter slug set not null', 'alter table public.person alter slug drop not null'],
    named: ['slug'],
  },
  {
    name: 'a domain that allows less',
    done: ['update person set slug = $$abc$$ where id = 10'],
    since: [],
    schema: [
      "alter domain public.code add constraint short check (value <> 'ann')",
      'alter domain public.code drop constraint short',
    ],
    named: ['short'],
  },
  {
    name: 'a constraint trigger of the application',
    done: ["update plain set value = 'other' where id = 1"],
    since: [],
    schema: [
      `create function public.never() returns trigger language plpgsql as $f$
         begin if new.value = 'one' then raise exception 'never one'; end if; return null; end $f$;
       create constraint trigger never after update on public.plain deferrable initially deferred for each row execute function public.never()`,
      'drop trigger never on public.plain; drop function public.never()',
    ],
    named: ['never one'],
  },
];

/** Undone beside the fault: had it been done alone, it would have gone through. */
const HARMLESS = [
  "update team set name = 'RED' where id = 3",
  "update task set title = 'changed' where title = 'second'",
  "insert into plain values (60, 'a', 'sixty')",
  'delete from plain where id = 4',
];

export async function faultMatrix(serverUrl: string): Promise<{ tried: number; failures: string[] }> {
  const failures: string[] = [];
  let tried = 0;
  const w = await world(serverUrl);
  try {
    await w.client.query('create table public.loose (plain int constraint loose_plain_fkey references public.plain)');
    for (const [at, fault] of FAULTS.entries()) {
      tried += 1;
      const problems = await tryFault(w, fault, `fault-${at}`).catch((error) => [`did not run: ${String(error)}`]);
      failures.push(...problems.map((problem) => `${fault.name}: ${problem}`));
    }
    tried += 1;
    failures.push(...(await killed(w)));
  } finally {
    await w.drop();
  }
  return { tried, failures };
}

async function tryFault(w: World, fault: Fault, session: string): Promise<string[]> {
  await refill(w);
  const schemaFirst = fault.name === 'a shared parent that is gone';
  if (schemaFirst) await w.client.query(fault.schema![0]);
  await w.as(`ann/${session}`, ...HARMLESS.slice(0, 2), ...fault.done, ...HARMLESS.slice(2));
  if (fault.since.length > 0) await w.as('bob', ...fault.since);
  if (schemaFirst) await w.client.query('delete from public.shared where id = 7');
  else if (fault.schema) await w.client.query(fault.schema[0]);
  try {
    const problems: string[] = [];
    for (const policy of fault.decidable ? (['refuse'] as const) : (['refuse', 'force', 'skip'] as const)) {
      const request = { tenant: 'a', scope: { kind: 'session', session }, policy } as const;
      problems.push(...(await refused(w, fault, request)).map((problem) => `${policy}: ${problem}`));
    }
    return problems;
  } finally {
    await clear(w);
    if (fault.schema) await w.client.query(fault.schema[1]);
  }
}

async function refused(w: World, fault: Fault, request: UndoRequest): Promise<string[]> {
  const problems: string[] = [];
  const before = await readState(w.client);
  const trail = await w.rows('select count(*)::int from holdfast.trail');
  let plan: UndoPlan | undefined;
  let why = '';
  try {
    plan = await previewUndo(w.ctx, request);
    why = JSON.stringify(plan.violations);
  } catch (error) {
    why = JSON.stringify([(error as HoldfastError).code, (error as Error).message, (error as HoldfastError).details]);
  }
  if (fault.skippable && request.policy === 'skip') {
    if (why !== '[]') return [`the preview cannot leave it out: ${why}`];
    await applyUndo(w.ctx, { ...request, fingerprint: plan!.fingerprint });
    const touched = compare(before, await readState(w.client)).length;
    const said = plan!.totals.inserted + plan!.totals.updated + plan!.totals.deleted;
    return touched === said && touched >= HARMLESS.length
      ? []
      : [`${touched} rows were written, ${said} were previewed`];
  }
  if (!/HF_/.test(why)) problems.push(`the preview does not say so: ${why}`);
  for (const word of fault.named) if (!why.includes(word)) problems.push(`the preview does not name ${word}: ${why}`);
  for (const extra of plan ? [{}, { fingerprint: plan.fingerprint }] : [{}]) {
    try {
      await applyUndo(w.ctx, { ...request, ...extra });
      problems.push('it was applied');
    } catch (error) {
      const { code } = error as HoldfastError;
      if (!code?.startsWith('HF_')) problems.push(`an error without a code of its own: ${code} ${String(error)}`);
    }
    const diffs = compare(before, await readState(w.client));
    if (diffs.length > 0) problems.push(`half of it was done: ${JSON.stringify(diffs.slice(0, 3))}`);
  }
  const left = await w.rows('select count(*)::int from holdfast.trail');
  if (String(left) !== String(trail)) problems.push('the trail tells of what was not done');
  return problems;
}

/** The connection is lost just before the commit. */
async function killed(w: World): Promise<string[]> {
  await refill(w);
  await w.as('ann/killed', ...HARMLESS);
  const before = await readState(w.client);
  const request = { tenant: 'a', scope: { kind: 'session', session: 'killed' } } as const;
  const lost = applyUndo(w.ctx, {
    ...request,
    beforeCommit: async (client) => {
      const { rows } = await client.query('select pg_backend_pid() as pid');
      await w.client.query('select pg_terminate_backend($1)', [rows[0].pid]);
    },
  });
  const problems: string[] = [];
  await lost.then(
    () => problems.push('killed: it says that it was done'),
    () => {},
  );
  if (compare(before, await readState(w.client)).length > 0) problems.push('killed: half of it was done');
  return problems;
}

async function clear(w: World): Promise<void> {
  await w.as(
    'setup',
    'delete from loose',
    'delete from room',
    'delete from task',
    'delete from plain',
    'update team set lead_id = null',
    'delete from person',
    'delete from team',
  );
}

async function refill(w: World): Promise<void> {
  await clear(w);
  await w.as(
    'setup',
    "insert into team values (1, 'a', 'Red', null), (2, 'a', 'Blue', null), (3, 'a', 'Green', null), (9, 'b', 'Other', null)",
    `insert into person (id, tenant_id, team_id, email, slug, age, low, high, note) values (10, 'a', 1, 'ann@x', 'ann', 30, 1, 5, 'first'),
       (11, 'a', 1, 'bob@x', null, 31, 1, 5, 'second'), (90, 'b', 9, 'zoe@x', 'zoe', 50, 1, 5, null)`,
    "insert into plain values (1, 'a', 'one'), (2, 'a', 'two'), (4, 'a', 'four'), (9, 'b', 'nine')",
    "insert into task (tenant_id, person_id, title) values ('a', 10, 'first'), ('a', 11, 'second')",
    "insert into room values ('a', 'x', 1, '[1,5)'), ('b', 'y', 1, '[90,95)')",
  );
}
