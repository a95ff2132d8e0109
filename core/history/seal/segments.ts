/** Cuts a batch of rows into segments and writes them. */
import { randomFillSync } from 'node:crypto';
import type { Client } from '../../sql.ts';
import { headerText, leavesDigest, segmentDigest } from './entry.ts';
import type { OpenLog } from './log.ts';
import { NOTHING, type SegmentHeader } from './types.ts';

/** Rows of one segment at most: 2 MB of digests. */
const ROWS = 50_000;
export const LEAF_BYTES = 40;
export const SALT_BYTES = 16;
/** Flushed when so many bytes or segments wait. */
const FLUSH_BYTES = 8_000_000;
const FLUSH_SEGMENTS = 2000;

type About = Pick<SegmentHeader, 'entry' | 'from' | 'to' | 'sealedAt' | 'rules'>;

interface Made {
  readonly header: SegmentHeader;
  readonly text: string;
  readonly leaves: Buffer;
  readonly salts: Buffer;
}

/** Rows come by tenant, and within a tenant by seq. */
export class SegmentWriter {
  readonly #client: Client;
  readonly #log: OpenLog;
  readonly #about: About;
  readonly #leaves = Buffer.alloc(ROWS * LEAF_BYTES);
  readonly #salts = Buffer.alloc(ROWS * SALT_BYTES);
  #tenant: string | null = null;
  #count = 0;
  #made: Made[] = [];
  #waiting = 0;
  rows = 0;
  segments = 0;

  constructor(client: Client, log: OpenLog, about: About) {
    this.#client = client;
    this.#log = log;
    this.#about = about;
  }

  /** Where the salts of the segment at hand lie. */
  get salts(): Buffer {
    return this.#salts;
  }

  /** A fresh salt for the next row of `tenant`: where its 16 bytes begin in `salts`. */
  salt(tenant: string | null): number {
    if (this.#count > 0 && (this.#count === ROWS || tenant !== this.#tenant)) this.#close();
    this.#tenant = tenant;
    if (this.#count % 1000 === 0) {
      const from = this.#count * SALT_BYTES;
      randomFillSync(this.#salts, from, Math.min(1000 * SALT_BYTES, this.#salts.length - from));
    }
    return this.#count * SALT_BYTES;
  }

  /** The leaf that belongs to the salt given last, as binary text. */
  add(seq: bigint, leaf: string): void {
    const at = this.#count * LEAF_BYTES;
    this.#leaves.writeBigUInt64BE(seq, at);
    this.#leaves.write(leaf, at + 8, 'latin1');
    this.#count += 1;
  }

  #close(): void {
    const previous = this.#log.chains.get(this.#tenant);
    const leaves = Buffer.from(this.#leaves.subarray(0, this.#count * LEAF_BYTES));
    const salts = Buffer.from(this.#salts.subarray(0, this.#count * SALT_BYTES));
    const header: SegmentHeader = {
      ...this.#about,
      chain: previous?.id ?? this.#log.heads.size + 1,
      tenant: this.#tenant,
      number: (previous?.segments ?? 0) + 1,
      previous: previous?.head ?? NOTHING,
      count: this.#count,
      first: leaves.readBigUInt64BE(0).toString(),
      last: leaves.readBigUInt64BE(leaves.length - LEAF_BYTES).toString(),
      root: leavesDigest(leaves),
    };
    const text = headerText(header);
    const head = segmentDigest(text);
    this.#log.heads.set(header.chain, head);
    this.#log.chains.set(this.#tenant, { id: header.chain, segments: header.number, head });
    this.#made.push({ header, text, leaves, salts });
    this.#waiting += leaves.length + salts.length;
    this.rows += this.#count;
    this.segments += 1;
    this.#count = 0;
  }

  /** Writes what is waiting, when it is much; memory stays flat however many rows there are. */
  async flush(options: { all?: boolean } = {}): Promise<void> {
    if (options.all && this.#count > 0) this.#close();
    if (this.#made.length === 0) return;
    if (!options.all && this.#waiting < FLUSH_BYTES && this.#made.length < FLUSH_SEGMENTS) return;
    const made = this.#made;
    this.#made = [];
    this.#waiting = 0;
    const of = <T>(value: (m: Made) => T): T[] => made.map(value);
    await this.#client.query(
      `insert into holdfast.seal_segments (chain, number, entry, tenant, first_seq, last_seq, header, leaves)
       select * from unnest($1::int[], $2::bigint[], $3::bigint[], $4::text[], $5::bigint[], $6::bigint[], $7::text[], $8::bytea[])`,
      [
        of((m) => m.header.chain),
        of((m) => m.header.number),
        of((m) => m.header.entry),
        of((m) => m.header.tenant),
        of((m) => m.header.first),
        of((m) => m.header.last),
        of((m) => m.text),
        of((m) => m.leaves),
      ],
    );
    await this.#client.query(
      'insert into holdfast.seal_salts (chain, number, salts) select * from unnest($1::int[], $2::bigint[], $3::bytea[])',
      [of((m) => m.header.chain), of((m) => m.header.number), of((m) => m.salts)],
    );
    await this.#client.query(
      `insert into holdfast.seal_chains (id, tenant, segments, head)
       select distinct on (id) id, tenant, number, decode(head, 'hex')
         from unnest($1::int[], $2::text[], $3::bigint[], $4::text[]) x (id, tenant, number, head) order by id, number desc
       on conflict (id) do update set segments = excluded.segments, head = excluded.head`,
      [
        of((m) => m.header.chain),
        of((m) => m.header.tenant),
        of((m) => m.header.number),
        of((m) => segmentDigest(m.text)),
      ],
    );
  }
}
