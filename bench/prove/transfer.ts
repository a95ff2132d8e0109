/**
 * Copies of tenants: random graphs with every kind of reference, copied as of now or of a moment, whole or without some of
 * their tables. The oracle shows rows with labels in place of keys; it knows nothing of keys being issued or carried over.
 */
import type pg from 'pg';
import type { HoldfastError } from '../../core/errors.ts';
import { createRestorePoint } from '../../core/history/restorePoints.ts';
import { transferTenant } from '../../core/restore/transfer/transfer.ts';
import type { TransferRequest, TransferResult } from '../../core/restore/transfer/types.ts';
import { applyUndo } from '../../core/restore/undo/undo.ts';
import { addFirm, everything, type Random, random, shape } from '../../test/transfer/graph.ts';
import { graphWorld } from '../../test/transfer/world.ts';
import type { ProveFailure, Suite } from './suite.ts';

type World = Awaited<ReturnType<typeof graphWorld>>;

/** Tables that can be left out, and the kinds of row in the oracle's picture that go with them. */
const PARTS: readonly (readonly [tables: readonly string[], kinds: readonly string[]])[] = [
  [['g.link'], ['link']],
  [
    ['g.hen', 'g.egg'],
    ['hen', 'egg'],
  ],
  [
    ['g.front', 'g.back'],
    ['front', 'back'],
  ],
  [
    ['g.leaf', 'g.vein'],
    ['leaf', 'vein'],
  ],
  [['g.vein'], ['vein']],
  [['g.sub'], ['sub']],
  [['g.pick'], ['pick']],
  [
    ['g.pick', 'g.tag'],
    ['pick', 'tag'],
  ],
];

const suite: Suite = {
  name: 'transfer',
  description: 'a copied tenant is the same graph under other keys, and no other row changes',
  quickCases: 16,
  async run({ cases, seed, serverUrl, log }) {
    const world = await graphWorld('', serverUrl);
    const failures: ProveFailure[] = [];
    const facts = { rowsCopied: 0, asOfMoments: 0, partial: 0, staleRefused: 0, undone: 0 };
    try {
      await addFirm(world.client, 1, random(1));
      for (let n = 0; n < cases; n++) {
        const message = await tryCase(world, seed, n, facts).catch((error: Error) => error.stack ?? error.message);
        if (message) failures.push({ seed, case: n, message });
        if (n % 10 === 9) log(`${n + 1} copies, ${facts.rowsCopied} rows`);
      }
      return { cases, failures, facts };
    } finally {
      await world.drop();
    }
  },
};
export default suite;

/** Returns what is wrong. */
async function tryCase(
  { client, ctx }: World,
  seed: number,
  n: number,
  facts: Record<'rowsCopied' | 'asOfMoments' | 'partial' | 'staleRefused' | 'undone', number>,
): Promise<string | undefined> {
  const pick = random(seed * 7919 + n);
  const [from, into] = [10 + 2 * n, 11 + 2 * n];
  await addFirm(client, from, pick);
  // The receiver is empty, or has rows of its own with labels that the source does not have.
  await addFirm(client, into, pick);
  await relabel(client, into);
  const own = await shape(client, into);
  const [tables, kinds] = pick(2) ? PARTS[pick(PARTS.length)]! : [[], []];
  const wanted = (await shape(client, from)).filter((row) => !kinds.includes(row.split('|')[0]!));
  const asOf = pick(2) === 1;
  let point: string | undefined;
  if (asOf) {
    point = (await createRestorePoint(client, { name: `${seed} ${n}`, tenant: null })).name;
    await disturb(client, from, pick);
  }
  const before = await everything(client);
  const request: TransferRequest = {
    from: String(from),
    into: String(into),
    asSystemAdministrator: true,
    except: tables,
    ...(point ? { restorePoint: point } : {}),
  };
  const preview = await transferTenant(ctx, { ...request, preview: true });
  if (preview.violations.length > 0)
    return `refused: ${JSON.stringify(preview.violations)} ${JSON.stringify(preview.conflicts)}`;
  if (!same(await everything(client), before)) return 'the preview changed rows';

  // What is copied moves between preview and apply: refused, and nothing done.
  if (!asOf && wanted.length > 0 && pick(4) === 0) {
    await client.query("insert into g.part select $1, 900, 'late'", [from]);
    const code = await transferTenant(ctx, { ...request, fingerprint: preview.fingerprint }).then(
      () => 'nothing',
      (error: HoldfastError) => error.code,
    );
    if (code !== 'HF_PLAN_STALE') return `a stale plan was answered by ${code}`;
    facts.staleRefused += 1;
    await client.query('delete from g.part where firm_id = $1 and no = 900', [from]);
  }
  const done = await transferTenant(ctx, { ...request, fingerprint: preview.fingerprint });
  const wrong = await check(client, { done, preview, own, wanted, before, into });
  if (wrong) return wrong;
  facts.rowsCopied += wanted.length;
  facts.asOfMoments += asOf ? 1 : 0;
  facts.partial += tables.length > 0 ? 1 : 0;
  if (done.xid !== null && pick(2)) {
    await applyUndo(ctx, { tenant: String(into), scope: { kind: 'transactions', transactions: [done.xid] } });
    if (!same(await everything(client), before)) return 'undoing the copy left something behind';
    facts.undone += 1;
  }
  return undefined;
}

async function check(
  client: pg.Client,
  found: {
    readonly done: TransferResult;
    readonly preview: TransferResult;
    readonly own: readonly string[];
    readonly wanted: readonly string[];
    readonly before: readonly string[];
    readonly into: number;
  },
): Promise<string | undefined> {
  const { done, preview, own, wanted, before, into } = found;
  if (JSON.stringify(done.tables) !== JSON.stringify(preview.tables)) return 'the effect is not what was previewed';
  const after = await everything(client);
  const left = new Set(after);
  const lost = before.find((row) => !left.has(row));
  if (lost) return `a row that is not the copy's changed: ${lost}`;
  if (after.length - before.length !== wanted.length)
    return `${after.length - before.length} rows instead of ${wanted.length}`;
  const got = await shape(client, into);
  const expected = [...own, ...wanted].sort();
  if (same(got, expected)) return undefined;
  const missing = expected.filter((row) => !got.includes(row)).slice(0, 3);
  const extra = got.filter((row) => !expected.includes(row)).slice(0, 3);
  return `another graph: missing ${JSON.stringify(missing)}, extra ${JSON.stringify(extra)}`;
}

/** So that rows of the receiver are told from copied ones; its parts take numbers of their own. */
async function relabel(client: pg.Client, firm: number): Promise<void> {
  await client.query('delete from g.link where firm_id = $1', [firm]);
  await client.query("update g.part set no = no + 500, label = 'own ' || label where firm_id = $1", [firm]);
  for (const table of ['node', 'hen', 'egg', 'front', 'back', 'tag', 'pick']) {
    await client.query(`update g.${table} set label = 'own ' || label where firm_id = $1`, [firm]);
  }
}

/** What happens to the source after the moment that is copied. */
async function disturb(client: pg.Client, firm: number, pick: Random): Promise<void> {
  const all = [
    'delete from g.pick where firm_id = $1',
    "update g.node set label = 'later ' || label, boss_id = null where firm_id = $1",
    'update g.leaf set n = n + 50 where not exists (select from g.vein v where v.node_id = leaf.node_id and v.n = leaf.n) and node_id in (select id from g.node where firm_id = $1)',
    'delete from g.link where firm_id = $1',
    "insert into g.tag (firm_id, label) values ($1, 'later')",
    'delete from g.sub where node_id in (select id from g.node where firm_id = $1)',
    'delete from g.node where id = (select max(id) from g.node where firm_id = $1 and not exists (select from g.link l where l.node_id = id))',
  ];
  for (const sql of all) if (pick(2)) await client.query(sql, [firm]);
}

const same = (a: readonly string[], b: readonly string[]): boolean =>
  a.length === b.length && a.every((row, i) => row === b[i]);
