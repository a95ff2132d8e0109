/** Scrubs values out of sealed rows, and has it signed, so that the chain stays whole and a silent blanking stays visible. */
import type pg from 'pg';
import { connect, transaction } from '../../sql.ts';
import { anchor } from './anchors.ts';
import { insertEntry, makeEntry } from './entry.ts';
import { openLog } from './log.ts';
import { type RowPart, RowScrubber, type Wanted, wantedRow } from './scrub.ts';
import { type SealContext, seal, sealedTo } from './seal.ts';

export interface RedactRequest {
  /** `columns` are names in `changes`; their values become `{"redacted": true}`. `parts` become NULL. */
  readonly rows?: readonly {
    readonly seq: bigint;
    readonly columns?: readonly string[];
    readonly parts?: readonly RowPart[];
  }[];
  /** Contexts in holdfast.actors: they are removed, and with them `actor` and `user_id` of every row that names them. */
  readonly actors?: readonly string[];
  /** Signed and kept for ever: a case number, nothing about a person. */
  readonly reason: string;
}

export interface RedactReport {
  readonly rows: number;
  /** Number of the entry that vouches for it; null: no sealed row was concerned. */
  readonly entry: number | null;
}

/**
 * All or nothing. What was not sealed yet is sealed first. Values and salts are gone from the tables when it returns; from the
 * disk when the server has cleaned up behind it (VACUUM, WAL recycled).
 * @throws IntegrityError HF_SEAL_BROKEN; HF_SEAL_MISMATCH when a row is not what was sealed: an edit must not be hidden by
 * scrubbing it
 * @throws ConfigError HF_REDACT_UNKNOWN; HF_REDACT_OPEN when the column was not classed personal when it was sealed
 */
export async function redactTrail(ctx: SealContext, request: RedactRequest): Promise<RedactReport> {
  const wanted = new Map<string, Wanted>();
  for (const { seq, columns, parts } of request.rows ?? []) wanted.set(String(seq), wantedRow(columns, parts));
  await seal(ctx);
  const [client, reader] = [
    await connect(ctx.databaseUrl, 'holdfast-seal'),
    await connect(ctx.databaseUrl, 'holdfast-seal'),
  ];
  try {
    const { rows, entry } = await transaction(client, 'isolation level read committed', async () => {
      const log = await openLog(client, ctx);
      const number = (log.last?.entry.number ?? 0) + 1;
      const scrubber = new RowScrubber(client, number, await sealedTo(client, log.last));
      await scrubber.run(reader, wanted, request.actors ?? []);
      if (scrubber.lists.length === 0) return { rows: scrubber.rows, entry: undefined };
      const made = await makeEntry(ctx.keys, log.last, log.epoch, log.heads, {
        kind: 'redaction',
        reason: request.reason,
        lists: scrubber.lists,
      });
      await insertEntry(client, made);
      return { rows: scrubber.rows, entry: made };
    });
    if (ctx.store && entry) await anchor({ store: ctx.store, keys: ctx.keys }, client as pg.Client, entry);
    return { rows, entry: entry?.entry.number ?? null };
  } finally {
    await Promise.all([client.end(), reader.end()]);
  }
}
