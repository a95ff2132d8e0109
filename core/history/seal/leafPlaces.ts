/** Finds the leaf of a row in the database, and erases its salt. */
import type pg from 'pg';
import { leavesDigest } from './entry.ts';
import { fieldText, type Line } from './leaf.ts';
import { readRules, type SealRules } from './rules.ts';
import { parseHeader } from './segmentReader.ts';
import { LEAF_BYTES, SALT_BYTES } from './segments.ts';

export interface LeafPlace {
  readonly chain: number;
  /** Hex. */
  readonly leaf: string;
  readonly salt: string;
  readonly rules: SealRules | undefined;
  eraseSalt(): void;
}

interface Kept {
  readonly chain: number;
  readonly number: string;
  readonly leaves: Buffer;
  readonly salts: Buffer;
  readonly rules: SealRules | undefined;
  erased: boolean;
}

/** Segments that are kept at hand. */
const KEEP = 16;

export class LeafPlaces {
  readonly #client: pg.Client;
  readonly #kept: Kept[] = [];

  constructor(client: pg.Client) {
    this.#client = client;
  }

  /** Undefined when the row has no sound leaf. */
  async find(line: Line): Promise<LeafPlace | undefined> {
    const seq = BigInt(line.seq);
    const { rows } = await this.#client.query(
      `select s.chain, s.number::text from holdfast.seal_segments s
        where s.chain = (select id from holdfast.seal_chains where tenant is not distinct from $1)
          and s.first_seq <= $2 and s.last_seq >= $2`,
      [fieldText(line.organization), line.seq],
    );
    for (const { chain, number } of rows) {
      const segment = await this.#segment(chain, number);
      const at = segment && positionOf(segment.leaves, seq);
      if (segment === undefined || at === undefined) continue;
      return {
        chain,
        leaf: segment.leaves.toString('hex', at * LEAF_BYTES + 8, (at + 1) * LEAF_BYTES),
        salt: segment.salts.toString('hex', at * SALT_BYTES, (at + 1) * SALT_BYTES),
        rules: segment.rules,
        eraseSalt() {
          segment.salts.fill(0, at * SALT_BYTES, (at + 1) * SALT_BYTES);
          segment.erased = true;
        },
      };
    }
    return undefined;
  }

  /** Writes the salts that were erased. */
  async flush(): Promise<void> {
    for (const segment of this.#kept.splice(0)) await this.#write(segment);
  }

  async #segment(chain: number, number: string): Promise<Kept | undefined> {
    const known = this.#kept.find((s) => s.chain === chain && s.number === number);
    if (known) return known;
    const { rows } = await this.#client.query(
      `select s.header, s.leaves, t.salts from holdfast.seal_segments s join holdfast.seal_salts t using (chain, number)
        where s.chain = $1 and s.number = $2`,
      [chain, number],
    );
    const header = rows[0] && parseHeader(rows[0].header);
    if (!header || leavesDigest(rows[0].leaves) !== header.root) return undefined;
    if (this.#kept.length === KEEP) await this.#write(this.#kept.shift()!);
    const { leaves, salts } = rows[0];
    const kept = { chain, number, leaves, salts, rules: await readRules(this.#client, header.rules), erased: false };
    this.#kept.push(kept);
    return kept;
  }

  async #write({ erased, chain, number, salts }: Kept): Promise<void> {
    if (!erased) return;
    await this.#client.query('update holdfast.seal_salts set salts = $3 where chain = $1 and number = $2', [
      chain,
      number,
      salts,
    ]);
  }
}

/** Leaves are in the order of seq. */
function positionOf(leaves: Buffer, seq: bigint): number | undefined {
  let [low, high] = [0, leaves.length / LEAF_BYTES - 1];
  while (low <= high) {
    const middle = (low + high) >> 1;
    const found = leaves.readBigUInt64BE(middle * LEAF_BYTES);
    if (found === seq) return middle;
    if (found < seq) low = middle + 1;
    else high = middle - 1;
  }
  return undefined;
}
