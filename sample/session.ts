/** The demo's chapter on one session: taken back whole, while what a colleague did to the same rows stays. */
import type pg from 'pg';
import type { Context } from '../core/context.ts';
import { setActor, withActor } from '../core/history/actor.ts';
import { applyUndo, previewUndo } from '../core/restore/undo/undo.ts';
import { transaction } from '../core/sql.ts';
import type { Stage } from './stage.ts';

const INTERN = { userId: 'u-intern', email: 'intern@example.com', sessionId: 'web-4711' };
const COLLEAGUE = { userId: 'u-colleague', email: 'colleague@example.com', sessionId: 'web-4712' };

interface Entry {
  readonly id: string;
  readonly title: string;
  readonly body: string;
  readonly mood: string | null;
}

export async function undoASession(stage: Stage, ctx: Context, client: pg.Client, tenant: string): Promise<void> {
  const before = await entries(client, tenant);
  const ids = [...before.keys()];
  const [retitled, emptied, deleted] = [ids.slice(0, 40), ids.slice(20, 50), ids.slice(50, 60)];
  await stage.step('A session of someone new', async () => {
    await withActor(client, INTERN, () =>
      client.query(`update public.journal_entries set title = upper(title) where id = any($1)`, [retitled]),
    );
    await withActor(client, INTERN, () =>
      client.query(`update public.journal_entries set body = '', mood = null where id = any($1)`, [emptied]),
    );
    await withActor(client, INTERN, () =>
      client.query('delete from public.journal_entries where id = any($1)', [deleted]),
    );
  });
  stage.alarm(`${retitled.length} titles shouted, ${emptied.length} texts emptied, ${deleted.length} entries deleted.`);
  // Minutes later, on the same rows: another field of one, and the very field that was spoilt of another.
  const [kept, corrected] = [retitled[0]!, emptied[5]!];
  await transaction(client, '', async () => {
    await setActor(client, COLLEAGUE);
    await client.query(`update public.journal_entries set mood = 'bright' where id = $1`, [kept]);
    await client.query(`update public.journal_entries set body = 'Written again from memory.' where id = $1`, [
      corrected,
    ]);
  });
  stage.say('A colleague gives one of these entries a mood, and writes an emptied one again.');

  const request = { tenant, scope: { kind: 'session', session: INTERN.sessionId }, policy: 'skip' } as const;
  const plan = await stage.step(
    'Preview of undoing the session',
    () => previewUndo(ctx, request),
    (p) =>
      `${p.totals.inserted} to insert, ${p.totals.updated} to update; ${p.conflictCount} later ${p.conflictCount === 1 ? 'edit' : 'edits'}`,
  );
  stage.table(
    ['field edited later', 'before', 'the session', 'now', 'decided'],
    plan.conflicts
      .filter((c) => c.column !== 'updated_at')
      .map((c) => [c.column ?? '(row)', short(c.base), short(c.theirs), short(c.current), `${c.take} stays`]),
  );
  await stage.step(
    'Undo the session',
    () => applyUndo(ctx, { ...request, fingerprint: plan.fingerprint, actor: { userId: 'demo-operator' } }),
    (r) => `exactly what was previewed, undo point ${r.restorePoint}`,
  );

  const after = await entries(client, tenant);
  const expected = new Map(before);
  expected.set(kept, { ...before.get(kept)!, mood: 'bright' });
  expected.set(corrected, { ...before.get(corrected)!, body: 'Written again from memory.' });
  stage.proof(
    'every entry is as it was before the session, and both of the colleague’s edits stand',
    JSON.stringify([...after]) === JSON.stringify([...expected]),
  );
}

async function entries(client: pg.Client, tenant: string): Promise<Map<string, Entry>> {
  const { rows } = await client.query<Entry>(
    'select id, title, body, mood from public.journal_entries where organization_id = $1 order by id',
    [tenant],
  );
  return new Map(rows.map((row) => [row.id, row]));
}

function short(text: string | null | undefined): string {
  if (text === null || text === undefined) return '-';
  return text === '' ? '(empty)' : text.length > 22 ? `${text.slice(0, 21)}…` : text;
}
