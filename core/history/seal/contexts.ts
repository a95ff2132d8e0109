/** What actors' contexts say, for the rows that name them. */
import type pg from 'pg';
import { NO_CONTEXT } from './leaf.ts';
import type { LineBatch } from './lineBytes.ts';

const NO_CONTEXT_BYTES = Buffer.from(NO_CONTEXT);
const KEEP = 100_000;
/** Stands where the context that a row names is not there. */
const MISSING = 'missing';

export class Contexts {
  readonly #client: pg.Client;
  #known = new Map<string, string>();
  #bytes = new Map<string, Buffer>();

  constructor(client: pg.Client) {
    this.#client = client;
  }

  /** Loads those among `actors` (fields of a line) that are not known yet. */
  async load(actors: Iterable<string>): Promise<void> {
    const wanted = [...new Set(actors)].filter((id) => id !== '\\N' && !this.#known.has(id));
    if (wanted.length === 0) return;
    if (this.#known.size + wanted.length > KEEP) {
      this.#known = new Map();
      this.#bytes = new Map();
    }
    const { rows } = await this.#client.query({
      text: `select distinct id::text, user_id, user_email, session_id, ip_address::text, user_agent
               from holdfast.actors where id = any($1::uuid[]) order by 1, 2, 3, 4, 5, 6`,
      values: [wanted],
      rowMode: 'array',
    });
    for (const id of wanted) this.#known.set(id, MISSING);
    for (const [id, ...fields] of rows as (string | null)[][]) {
      const before = this.#known.get(id!)!;
      const text = fields.map((field) => copyField(field ?? null)).join('\t');
      // Two different contexts under one id: neither is what was sealed.
      this.#known.set(id!, before === MISSING ? text : `${before}\t${text}`);
    }
  }

  /** The same as bytes. */
  bytes(actor: string): Buffer {
    if (actor === '\\N') return NO_CONTEXT_BYTES;
    let bytes = this.#bytes.get(actor);
    if (!bytes) {
      if (this.#bytes.size >= KEEP) this.#bytes.clear();
      bytes = Buffer.from(this.#known.get(actor)!);
      this.#bytes.set(actor, bytes);
    }
    return bytes;
  }

  get(actor: string): string {
    return actor === '\\N' ? NO_CONTEXT : this.#known.get(actor)!;
  }
}

const WRITTEN: Readonly<Record<string, string>> = {
  '\\': '\\\\',
  '\b': '\\b',
  '\f': '\\f',
  '\n': '\\n',
  '\r': '\\r',
  '\t': '\\t',
  '\v': '\\v',
};

/** A value as COPY's text format writes it. */
export const copyField = (value: string | null): string =>
  value === null ? '\\N' : value.replace(/[\\\b\f\n\r\t\v]/g, (c) => WRITTEN[c]!);

/** Loads what the lines of a batch need; the function gives the context of line `i`, asked for in order, as bytes. */
export async function contextsOf(batch: LineBatch, contexts: Contexts): Promise<(line: number) => Buffer> {
  const repeats = Array.from({ length: batch.count }, (_, i) => batch.repeatsActor(i));
  await contexts.load(repeats.flatMap((same, i) => (same ? [] : [batch.actor(i)])));
  let bytes: Buffer = NO_CONTEXT_BYTES;
  return (line) => {
    if (!repeats[line]) bytes = contexts.bytes(batch.actor(line));
    return bytes;
  };
}
