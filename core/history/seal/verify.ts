/** Holds a database against its seals, and says what is not as it was sealed. */
import type pg from 'pg';
import { type ObjectStore, type Progress, silentProgress, type Trust } from '../../ports.ts';
import { connect } from '../../sql.ts';
import { checkAnchors, logsInStore } from './anchors.ts';
import { ChainWalk } from './chainWalk.ts';
import { type EntryLog, entriesOf, readEntryLog } from './entryLog.ts';
import { documentOf } from './log.ts';
import { checkGroup } from './rowGroup.ts';
import { checkSegments, segmentsGone } from './segmentReader.ts';
import type { BatchEntry, Entry, Fault } from './types.ts';

export interface VerifyContext {
  readonly databaseUrl: string;
  readonly trust: Trust;
  /** Without it, seals cut off at the end, and ones hung in their place by the key's holder, are not noticed. */
  readonly store?: ObjectStore;
  readonly progress?: Progress;
}

export interface VerifyReport {
  readonly ok: boolean;
  /** The first 1,000. */
  readonly faults: readonly Fault[];
  readonly faultCount: number;
  readonly log: string | null;
  readonly entries: number;
  readonly chains: number;
  readonly segments: number;
  /** Rows that were read and are what was sealed, or were lawfully scrubbed. */
  readonly rows: number;
  readonly redacted: number;
  /** Rows that are gone with months that were dropped, under a signed note. */
  readonly pruned: number;
  readonly sealedAt: string | null;
  readonly head: { readonly number: number; readonly sha256: string } | null;
  /** Newest entry that the store vouches for; null: no store was asked. */
  readonly anchored: number | null;
  readonly notes: readonly string[];
}

export interface VerifyOptions {
  /** An entry as an auditor noted it down. */
  readonly head?: { readonly number: number; readonly sha256: string };
}

const FAULTS = 1000;
/** Rows whose leaves are held in memory at once, about: 60 MB. */
const GROUP_ROWS = 250_000;

/** Reads everything once. Runs beside writers, sealing, pruning and erasure without false alarms. */
export async function verify(ctx: VerifyContext, options: VerifyOptions = {}): Promise<VerifyReport> {
  const clients = [
    await connect(ctx.databaseUrl, 'holdfast-audit'),
    await connect(ctx.databaseUrl, 'holdfast-audit'),
  ] as const;
  const progress = ctx.progress ?? silentProgress;
  const faults: Fault[] = [];
  let faultCount = 0;
  const report = (fault: Fault) => {
    faultCount += 1;
    if (faults.length < FAULTS) faults.push(fault);
  };
  try {
    const log = await readEntryLog(clients[0], ctx.trust, report);
    const anchors = await compareEnds(clients[0], ctx, options, log, report);
    progress.start('verifying', log.rows, 'rows');
    const totals = await verifyBatches(clients, log, report, progress);
    await strayRows(clients[0], report);
    progress.done();
    return {
      ok: faultCount === 0,
      faults,
      faultCount,
      log: log.last?.entry.log ?? null,
      entries: log.entries,
      ...totals,
      sealedAt: log.sealedTo?.at ?? null,
      head: log.last ? { number: log.last.entry.number, sha256: log.last.sha256 } : null,
      anchored: anchors,
      notes: notesOf(ctx, log, anchors),
    };
  } finally {
    progress.done();
    await Promise.all(clients.map((client) => client.end()));
  }
}

/** The newest entry against the store and against what the auditor noted. */
async function compareEnds(
  client: pg.Client,
  ctx: VerifyContext,
  options: VerifyOptions,
  log: EntryLog,
  report: (fault: Fault) => void,
): Promise<number | null> {
  const { head } = options;
  if (head && log.digests[head.number - 1] !== head.sha256) {
    const gone = head.number > log.entries;
    report({
      kind: gone ? 'truncated' : 'tail-replaced',
      entry: head.number,
      message: `Seal ${head.number} is ${gone ? 'gone' : 'another'}: its digest should be ${head.sha256}.`,
    });
  }
  if (!ctx.store) return null;
  const { rows } = await client.query('select epoch::text from holdfast.installation');
  for (const id of await logsInStore(ctx.store, rows[0].epoch)) {
    if (log.logs.has(id)) continue;
    report({ kind: 'truncated', message: `The log of seals ${id}, which the store knows, is gone from the database.` });
  }
  if (!log.last) return null;
  const { faults, anchored } = await checkAnchors(ctx.store, log.last, (number) => documentOf(client, number));
  for (const fault of faults) report(fault);
  return anchored;
}

/** Rows of transactions that cannot be: no batch has sealed them, and none ever would. */
async function strayRows(client: pg.Client, report: (fault: Fault) => void): Promise<void> {
  const { rows } = await client.query<{ seq: string; table: string; tenant: string | null; xid: string }>(
    `select t.seq::text, coalesce(n.name, t.table_id::text) as table, t.organization as tenant, t.xid::text
       from holdfast.trail t left join holdfast.tables n on n.id = t.table_id
      where t.xid < 3 or t.xid >= pg_snapshot_xmax(pg_current_snapshot())::text::bigint order by t.seq limit 1000`,
  );
  for (const { seq, table, tenant, xid } of rows) {
    const message = `Change ${seq} (${table}) names transaction ${xid}, which this server never ran.`;
    report({ kind: 'inserted', message, tenant, seq, table });
  }
}

interface Totals {
  chains: number;
  segments: number;
  rows: number;
  redacted: number;
  pruned: number;
}

async function verifyBatches(
  clients: readonly [pg.Client, pg.Client],
  log: EntryLog,
  report: (fault: Fault) => void,
  progress: Progress,
): Promise<Totals> {
  const totals: Totals = { chains: 0, segments: 0, rows: 0, redacted: 0, pruned: 0 };
  const walk = new ChainWalk();
  const told = new Set<number | undefined>();
  const tell = (fault: Fault) => {
    told.add(fault.entry);
    report(fault);
  };
  let group: Entry[] = [];
  let size = 0;
  const flush = async () => {
    if (group.length === 0) return;
    const batches = group.filter((entry): entry is BatchEntry => entry.kind === 'batch');
    const done = await checkGroup(clients, log, batches, tell, progress, (segments) => {
      for (const entry of group) {
        const own = segments.filter(({ header }) => header.entry === entry.number);
        checkSegments(entry, own, walk, tell);
        const tenants = own.map(({ header }) => header.tenant);
        walk.compare(entry, told.has(entry.number), tenants, tell);
        totals.segments += own.length;
      }
    });
    totals.rows += done.rows;
    totals.redacted += done.redacted;
    totals.pruned += done.pruned;
    group = [];
    size = 0;
  };
  for await (const { number, document } of entriesOf(clients[0])) {
    if (number > log.digests.length) break; // sealed since the first pass
    const entry = log.digests[number - 1] ? (JSON.parse(document) as Entry) : undefined;
    if (!entry) continue; // told already, by the first pass
    const rows = entry.kind === 'batch' ? entry.rows : 0;
    if (size > 0 && size + rows > GROUP_ROWS) await flush();
    group.push(entry);
    size += rows;
  }
  await flush();
  await segmentsGone(clients[0], log, walk, report);
  totals.chains = walk.chains.length;
  return totals;
}

function notesOf(ctx: VerifyContext, log: EntryLog, anchored: number | null): string[] {
  const notes: string[] = [];
  if (!log.last) notes.push('Nothing was sealed yet.');
  else if (!ctx.store)
    notes.push('No store was asked: newest seals that were cut off, with their rows, would not be missed.');
  else if (anchored !== null && anchored < log.last.entry.number) {
    notes.push(`Seals from ${anchored + 1} on are not in the store yet; the next run of sealing writes them.`);
  }
  for (const { partitions, archivedBy, at } of log.prunes) {
    notes.push(`${partitions.join(', ')} was pruned on ${at}${archivedBy ? `; backup ${archivedBy} holds it` : ''}.`);
  }
  for (const { number, after, reason, at } of log.resumes) {
    notes.push(`Seals ${number} to ${after.number} of log ${after.log} were lost, as was said on ${at}: ${reason}.`);
  }
  return notes;
}
