/** Seals what the trail has gained: every row that is visible now and was not at the last seal. */
import type pg from 'pg';
import { bind } from '../../datamap/bind.ts';
import type { DataMap } from '../../datamap/types.ts';
import { connect, transaction } from '../../sql.ts';
import { advance } from '../advance.ts';
import { isAtOrAfter, parseSnapshot } from '../snapshots.ts';
import { visibleSql } from '../visibleSql.ts';
import { anchor } from './anchors.ts';
import { Contexts, contextsOf } from './contexts.ts';
import { insertEntry, makeEntry, type WrittenEntry } from './entry.ts';
import { commitment, fieldText, LINE_SQL, leaf, parseLine, splitChanges } from './leaf.ts';
import { LeafHasher } from './leafBytes.ts';
import { copyLineBytes } from './lines.ts';
import { type OpenLog, openLog, type SealKeys } from './log.ts';
import { rulesOf, type SealRules, storeRules } from './rules.ts';
import { SALT_BYTES, SegmentWriter } from './segments.ts';
import { BEFORE_ALL } from './types.ts';

export interface SealContext extends SealKeys {
  readonly databaseUrl: string;
  /** Says which columns are personal. Without it every column is taken for one. */
  readonly map?: DataMap;
}

export interface SealReport {
  readonly rows: number;
  readonly segments: number;
  /** Number and digest of the newest entry: what an auditor may note down. null: there is nothing to seal yet. */
  readonly head: { readonly number: number; readonly sha256: string } | null;
  /** Entries that were written into the store now. */
  readonly anchored: number;
}

/** Transactions of one batch, about; so long a batch keeps the server from cleaning up behind it. */
const TRANSACTIONS = 20_000;

/**
 * Idempotent, and safe to kill anywhere: a batch is one transaction, and an anchor that was not written is written by the next
 * run. Takes no lock that a writer waits for.
 * @throws IntegrityError HF_SEAL_BROKEN: what was sealed before is not as it was
 */
export async function seal(ctx: SealContext): Promise<SealReport> {
  const [writer, reader] = [
    await connect(ctx.databaseUrl, 'holdfast-seal'),
    await connect(ctx.databaseUrl, 'holdfast-seal'),
  ];
  try {
    const rules = rulesOf(ctx.map && (await bind(writer, ctx.map)));
    await advance(writer);
    let [rows, segments, anchored] = [0, 0, 0];
    for (;;) {
      const done = await transaction(writer, 'isolation level read committed', async () => {
        const log = await openLog(writer, ctx);
        return { log, batch: await sealBatch(writer, reader, ctx, log, rules) };
      });
      const last = done.batch?.entry ?? done.log.last;
      if (ctx.store && last) anchored += await anchor({ store: ctx.store, keys: ctx.keys }, writer, last);
      if (!done.batch) {
        return { rows, segments, anchored, head: last ? { number: last.entry.number, sha256: last.sha256 } : null };
      }
      rows += done.batch.rows;
      segments += done.batch.segments;
    }
  } finally {
    await Promise.all([writer.end(), reader.end()]);
  }
}

interface Batch {
  readonly entry: WrittenEntry;
  readonly rows: number;
  readonly segments: number;
}

async function sealBatch(
  writer: pg.Client,
  reader: pg.Client,
  ctx: SealContext,
  log: OpenLog,
  rules: SealRules,
): Promise<Batch | undefined> {
  const from = await sealedTo(writer, log.last);
  for await (const to of cutsAfter(writer, from)) {
    const about = {
      entry: (log.last?.entry.number ?? 0) + 1,
      from,
      to,
      sealedAt: new Date().toISOString(),
      rules: rules.sha256,
    };
    const segments = new SegmentWriter(writer, log, about);
    await fill(segments, writer, reader, rules, from, to);
    if (segments.rows === 0) continue;
    await storeRules(writer, rules);
    const entry = await makeEntry(ctx.keys, log.last, log.epoch, log.heads, {
      kind: 'batch',
      from,
      to,
      rows: segments.rows,
      segments: segments.segments,
      rules: rules.sha256,
    });
    await insertEntry(writer, entry);
    return { entry, rows: segments.rows, segments: segments.segments };
  }
  return undefined;
}

/** Where the last batch ended. */
export async function sealedTo(client: pg.Client, last: WrittenEntry | undefined): Promise<string> {
  if (!last) return BEFORE_ALL;
  if (last.entry.kind === 'batch') return last.entry.to;
  const { rows } = await client.query(
    `select document::jsonb ->> 'to' as at from holdfast.seal_entries
      where document::jsonb ->> 'kind' = 'batch' order by number desc limit 1`,
  );
  return rows[0]?.at ?? BEFORE_ALL;
}

/** Snapshots of horizons after `from`, each so far ahead that a batch is neither tiny nor endless. */
async function* cutsAfter(client: pg.Client, from: string): AsyncIterable<string> {
  const start = parseSnapshot(from);
  const { rows } = await client.query<{ snapshot: string; n: number }>(
    `select snapshot::text, cardinality(xids) as n from holdfast.horizons
      where pg_snapshot_xmax(snapshot)::text::bigint >= $1 order by id`,
    [start.xmax.toString()],
  );
  const ahead = rows.filter(({ snapshot }) => snapshot !== from && isAtOrAfter(parseSnapshot(snapshot), start));
  let transactions = 0;
  for (const [i, { snapshot, n }] of ahead.entries()) {
    transactions += n;
    if (transactions < TRANSACTIONS && i + 1 < ahead.length) continue;
    transactions = 0;
    yield snapshot;
  }
}

async function fill(
  segments: SegmentWriter,
  writer: pg.Client,
  reader: pg.Client,
  rules: SealRules,
  from: string,
  to: string,
): Promise<void> {
  const contexts = new Contexts(writer);
  const sql = `copy (select ${LINE_SQL} from holdfast.trail t
    where ${between(from, to)} order by t.organization nulls first, t.seq) to stdout`;
  const hasher = new LeafHasher();
  await copyLineBytes(reader, sql, async (batch) => {
    const context = await contextsOf(batch, contexts);
    let tenant: string | null = null;
    for (let i = 0; i < batch.count; i++) {
      if (!batch.repeatsOrganization(i)) tenant = fieldText(batch.organization(i));
      const saltAt = segments.salt(tenant);
      const { salts } = segments;
      const plain = hasher.leafOf(batch, i, salts, saltAt, context(i), rules.openBytes(batch.table(i)));
      segments.add(batch.exactSeq(i), plain ?? leafOfText(batch.text(i), salts, saltAt, contexts, rules));
    }
    await segments.flush();
  });
  await segments.flush({ all: true });
}

function leafOfText(text: string, salts: Buffer, saltAt: number, contexts: Contexts, rules: SealRules): string {
  const line = parseLine(text);
  const salt = salts.toString('hex', saltAt, saltAt + SALT_BYTES);
  const split = splitChanges(line.changes, rules.open(line.table));
  const hex = leaf(line, commitment(line, salt, contexts.get(line.actor), split), split);
  return Buffer.from(hex, 'hex').toString('latin1');
}

/** Rows that `to` sees and `from` does not, in a form that the index on xid serves. Both are text forms of pg_snapshot. */
function between(from: string, to: string): string {
  const [begin, end] = [parseSnapshot(from), parseSnapshot(to)];
  return `t.xid >= ${begin.xmin} and t.xid < ${end.xmax} and not ${visibleSql('t.xid', begin)} and ${visibleSql('t.xid', end)}`;
}
