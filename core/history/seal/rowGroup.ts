/** Verifies the rows of some batches that follow each other, in one snapshot of the database. */
import type pg from 'pg';
import type { Progress } from '../../ports.ts';
import { isVisible, parseSnapshot } from '../snapshots.ts';
import { Contexts, contextsOf } from './contexts.ts';
import { type EntryLog, laterNotes } from './entryLog.ts';
import { LINE_SQL, parseLine } from './leaf.ts';
import { copyLineBytes } from './lines.ts';
import { type Redaction, RowChecker } from './rowChecker.ts';
import { type StoredSegment, storedSegments } from './segmentReader.ts';
import type { BatchEntry, Fault } from './types.ts';

export interface GroupTotals {
  readonly rows: number;
  readonly redacted: number;
  readonly pruned: number;
}

/** `onSegments` checks the segments as such; it is called before their rows are read. */
export async function checkGroup(
  [client, second]: readonly [pg.Client, pg.Client],
  log: EntryLog,
  batches: readonly BatchEntry[],
  report: (fault: Fault) => void,
  progress: Progress,
  onSegments: (segments: readonly StoredSegment[]) => void,
): Promise<GroupTotals> {
  if (batches.length === 0) {
    onSegments([]);
    return { rows: 0, redacted: 0, pruned: 0 };
  }
  return inOneSnapshot(client, second, async () => {
    const segments = await storedSegments(client, batches[0]!.number, batches.at(-1)!.number, report);
    onSegments(segments);
    const sealed = batches.reduce((sum, { segments: n }) => sum + n, 0);
    const tables = await tableNames(client);
    const later = await laterNotes(client, log);
    const checker = new RowChecker(report, tables, await redactions(client, later.authorised, log, segments));
    for (const segment of segments) checker.add(segment);
    await readRows(client, second, batches, checker, progress, segments.length === sealed);
    checker.finish([...log.prunes, ...later.prunes]);
    return { rows: checker.rows, redacted: checker.redacted, pruned: checker.pruned };
  });
}

/**
 * Dropping a partition cannot be seen through a snapshot, so the trail is locked before the snapshot is taken: against being
 * dropped from, not against being written to.
 */
export async function inOneSnapshot<T>(client: pg.Client, second: pg.Client, work: () => Promise<T>): Promise<T> {
  await client.query('begin isolation level repeatable read');
  try {
    await client.query('lock table holdfast.trail in access share mode');
    const { rows } = await client.query('select pg_export_snapshot() as id');
    await second.query('begin isolation level repeatable read read only');
    await second.query(`set transaction snapshot '${(rows[0].id as string).replace(/[^0-9A-F-]/gi, '')}'`);
    return await work();
  } finally {
    // Nothing was written. An error that broke the connection is reported by the work itself.
    await Promise.allSettled([client.query('rollback'), second.query('rollback')]);
  }
}

async function readRows(
  client: pg.Client,
  second: pg.Client,
  batches: readonly BatchEntry[],
  checker: RowChecker,
  progress: Progress,
  complete: boolean,
): Promise<void> {
  const [from, to] = [parseSnapshot(batches[0]!.from), parseSnapshot(batches.at(-1)!.to)];
  const contexts = new Contexts(second);
  const sql = `copy (select ${LINE_SQL} from holdfast.trail t where t.xid >= ${from.xmin} and t.xid < ${to.xmax}) to stdout`;
  await copyLineBytes(client, sql, async (batch) => {
    const { count } = batch;
    const contextOf = await contextsOf(batch, contexts);
    for (let i = 0; i < count; i++) {
      if (checker.isSealed(batch, i, contextOf(i))) continue;
      const line = parseLine(batch.text(i));
      const context = contexts.get(line.actor);
      if (checker.check(line, context)) continue;
      const xid = BigInt(line.xid);
      // Where a segment is gone its rows have no leaf; that was told, and is not the rows' fault.
      if (complete && !isVisible(xid, from) && isVisible(xid, to)) checker.unknown(line, context);
    }
    progress.advance(count);
  });
}

export async function tableNames(client: pg.Client): Promise<Map<string, string>> {
  const { rows } = await client.query<{ id: number; name: string }>('select id, name from holdfast.tables');
  return new Map(rows.map(({ id, name }) => [String(id), name]));
}

async function redactions(
  client: pg.Client,
  later: ReadonlySet<string>,
  log: EntryLog,
  segments: readonly StoredSegment[],
): Promise<Map<string, Redaction>> {
  const bounds = segments.map(({ header }) => [BigInt(header.first), BigInt(header.last)] as const);
  if (bounds.length === 0) return new Map();
  const low = bounds.reduce((min, [first]) => (first < min ? first : min), bounds[0]![0]);
  const high = bounds.reduce((max, [, last]) => (last > max ? last : max), 0n);
  const { rows } = await client.query(
    `select distinct on (r.seq) r.seq::text, chain, entry::text, encode(sealed, 'hex') as sealed, encode(salt, 'hex') as salt,
            encode(rest, 'hex') as rest
       from holdfast.seal_redactions r where r.seq between $1 and $2 order by r.seq, r.entry desc`,
    [low.toString(), high.toString()],
  );
  return new Map(
    rows.map((r) => [
      r.seq,
      {
        sealed: r.sealed,
        salt: r.salt ?? '',
        rest: r.rest,
        authorised: log.authorised.has(`${r.entry}/${r.chain}`) || later.has(`${r.entry}/${r.chain}`),
      },
    ]),
  );
}
