import { readFile } from 'node:fs/promises';
import { bind } from '../../core/datamap/bind.ts';
import { advance } from '../../core/history/advance.ts';
import { readChanges } from '../../core/history/changes.ts';
import { install } from '../../core/history/install.ts';
import { createDatabase } from '../../test/support/database.ts';
import { captureMap } from './capture/map.ts';
import { readEffects, readState, readTenants, withoutPaths } from './capture/oracle.ts';
import { startPoller } from './capture/poller.ts';
import { replay, rowText } from './capture/replay.ts';
import { write } from './capture/writer.ts';
import { Random, type Suite } from './suite.ts';

const WRITERS = 8;
const PER_ROUND = 800;

/** One case is one transaction of one of eight concurrent writers. */
const suite: Suite = {
  name: 'capture',
  description: 'every committed change is in the trail once, in order, with its tenant, and no cursor loses one',
  quickCases: 2400,
  async run({ cases, seed, serverUrl, log }) {
    const failures: { seed: number; case: number; message: string }[] = [];
    const totals: Record<string, number> = {};
    for (let done = 0; done < cases; done += PER_ROUND) {
      const count = Math.min(PER_ROUND, cases - done);
      const round = await oneRound(serverUrl, seed + done, count);
      for (const message of round.problems.slice(0, 20)) failures.push({ seed: seed, case: done + count - 1, message });
      for (const [fact, n] of Object.entries(round.facts)) totals[fact] = (totals[fact] ?? 0) + n;
      log(`${done + count} transactions, ${totals['changes in the trail']} changes, ${failures.length} failures`);
    }
    return { cases, failures, facts: totals };
  },
};
export default suite;

async function oneRound(
  serverUrl: string,
  seed: number,
  count: number,
): Promise<{ problems: string[]; facts: Record<string, number> }> {
  const database = await createDatabase({ serverUrl, prefix: 'capture' });
  try {
    const client = await database.client();
    await client.query(await readFile(new URL('capture/schema.sql', import.meta.url), 'utf8'));
    await install(client, await bind(client, captureMap));
    await client.query('truncate oracle.log');
    const initial = await readState(client);
    const state = await readState(client);
    const start = await advance(client);

    const poller = startPoller(await database.client(), start.snapshot);
    const each = Math.ceil(count / WRITERS);
    const stats = await Promise.all(
      Array.from({ length: WRITERS }, async (_, i) => write(await database.client(), new Random(seed * 31 + i), each)),
    );
    await poller.stop();

    const problems: string[] = [];
    const names = new Map(
      (await client.query('select id, name from holdfast.tables')).rows.map((r) => [
        r.id as number,
        (r.name as string).slice(4),
      ]),
    );
    const replayed = await replay(readChanges(client, {}), names, state);
    problems.push(...replayed.problems);

    // Exactly once, nothing else: the same effects in the same transactions.
    const expected = withoutPaths(await readEffects(client));
    const got = withoutPaths(replayed.effects);
    let missed = 0;
    let doubled = 0;
    for (const xid of new Set([...expected.keys(), ...got.keys()])) {
      const want = expected.get(xid) ?? new Map();
      const have = got.get(xid) ?? new Map();
      for (const effect of new Set([...want.keys(), ...have.keys()])) {
        const difference = (have.get(effect) ?? 0) - (want.get(effect) ?? 0);
        if (difference < 0) missed -= difference;
        if (difference > 0) doubled += difference;
        if (difference !== 0) problems.push(`${difference < 0 ? 'missed' : 'doubled'} in ${xid}: ${effect}`);
      }
    }

    // The trail replayed is what stands, and what stands belongs to whom the trail says.
    const live = await readState(client);
    for (const [table, rows] of live) {
      const built = state.get(table)!;
      if (built.size !== rows.size) problems.push(`${table}: ${built.size} rows replayed, ${rows.size} stand`);
      for (const [key, row] of rows) {
        const other = built.get(key);
        if (!other || rowText(other) !== rowText(row))
          problems.push(`${table} ${key}: replayed ${other && rowText(other)}, stands ${rowText(row)}`);
      }
    }
    for (const [row, tenant] of await readTenants(client)) {
      const said = replayed.tenants.get(row);
      if (said !== undefined && said !== tenant)
        problems.push(`${row}: the trail says tenant ${said}, it is ${tenant}`);
    }

    const all = (await client.query('select seq::text from holdfast.trail')).rows.map((r) => r.seq as string);
    const lost = all.filter((seq) => !poller.seen.bySnapshot.has(seq)).length;
    const twice = [...poller.seen.bySnapshot.values()].filter((n) => n > 1).length;
    if (lost > 0) problems.push(`the snapshot cursor missed ${lost} changes`);
    if (twice > 0) problems.push(`the snapshot cursor gave ${twice} changes twice`);
    const listed = await client.query(
      `select count(*)::int as n, count(distinct x)::int as d,
              (select count(distinct xid)::int from holdfast.trail) as t from holdfast.horizons h, unnest(h.xids) x`,
    );
    const { n, d, t } = listed.rows[0];
    if (n !== d || n !== t)
      problems.push(`${t} transactions in the trail, ${n} in the horizons, ${d} of them different`);

    const sum = (part: 'committed' | 'rolledBack' | 'failed') => stats.reduce((total, s) => total + s[part], 0);
    const late = await client.query('select count(*)::int as n from holdfast.trail where before_seq is not null');
    return {
      problems,
      facts: {
        'transactions committed': sum('committed'),
        'rolled back': sum('rolledBack'),
        'failed (deadlock, constraint)': sum('failed'),
        'changes in the trail': all.length,
        'logged after their effect': late.rows[0].n,
        missed,
        doubled,
        'missed by the snapshot cursor': lost,
        'missed by a seq cursor (control)': all.filter((seq) => !poller.seen.bySeq.has(seq)).length,
        'missed by a time cursor (control)': all.filter((seq) => !poller.seen.byTime.has(seq)).length,
        'rows before': [...initial.values()].reduce((total, rows) => total + rows.size, 0),
      },
    };
  } finally {
    await database.drop();
  }
}
