/** The long way: through staging tables, where everything that may stand in the way has been looked for. */
import { RestoreError } from '../../errors.ts';
import { apply, countsOf } from '../apply.ts';
import { explain } from '../conflicts.ts';
import { findTriggers } from '../triggers.ts';
import { checkCounts, checkPlan, checkRequest, violationsOf } from './checks.ts';
import type { RecordNet } from './nets.ts';
import type { Run, Written } from './run.ts';
import { stageUndo } from './staged.ts';
import { checkStamps } from './stamps.ts';
import type { Violation } from './types.ts';

export async function throughStage(run: Run, nets: AsyncIterable<RecordNet>): Promise<Written> {
  const { client, facts, scope, request } = run;
  await client.query('set local enable_hashjoin to default; set local enable_mergejoin to default');
  await checkStamps(client, facts.stamps, [...facts.targets.keys()]);
  const { works, offers, violations } = await stageUndo(client, nets, run);
  await checkRequest(run);
  checkPlan(run, violations);
  const all = [...violationsOf(run), ...violations];
  if (violations.length > 0) return { offers, violations: all, suspended: [] };
  checkCounts(
    run,
    works.map((w) => [w.staged.target.bound.name, countsOf(w)]),
  );
  const options = { ...scope, userTriggers: request.userTriggers ?? 'suspend' } as const;
  if (!run.preview) return { offers, violations: all, suspended: (await apply(client, works, options)).suspended };
  const suspended = await findTriggers(
    client,
    works.map((w) => w.staged),
  );
  const refused = await apply(client, works, options).then(() => [], asViolation);
  return {
    offers,
    violations: [...all, ...refused],
    suspended: request.userTriggers === 'fire' ? [] : suspended.map(({ table, trigger }) => ({ table, trigger })),
  };
}

function asViolation(error: unknown): Violation[] {
  const known = explain(error);
  if (!(known instanceof RestoreError)) throw error;
  const { code, message, action, details } = known;
  return [{ code, message, action, details }];
}
