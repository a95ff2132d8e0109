/** One transaction's work of a redaction: finds the rows, checks them, blanks them, and keeps what verification needs. */
import { randomBytes } from 'node:crypto';
import type pg from 'pg';
import { ConfigError, IntegrityError } from '../../errors.ts';
import { isVisible, parseSnapshot } from '../snapshots.ts';
import type { Snapshot } from '../types.ts';
import { Contexts, copyField } from './contexts.ts';
import { commitment, fieldText, LINE_SQL, type Line, leaf, parseLine, splitChanges } from './leaf.ts';
import { type LeafPlace, LeafPlaces } from './leafPlaces.ts';
import { copyLines } from './lines.ts';
import { REDACTED, type RedactedRow, redactionDigest } from './redaction.ts';
import type { RedactionEntry } from './types.ts';

/** Parts of a row besides its columns that can be scrubbed. */
const PARTS = ['record', 'person', 'user_id', 'actor', 'metadata'] as const;
export type RowPart = (typeof PARTS)[number];

export interface Wanted {
  readonly columns: readonly string[];
  readonly parts: readonly RowPart[];
}

/** @throws ConfigError HF_REDACT_UNKNOWN */
export function wantedRow(columns: readonly string[] = [], parts: readonly RowPart[] = []): Wanted {
  const strange = parts.find((part) => !PARTS.includes(part));
  if (strange === undefined) return { columns, parts };
  throw unknown(
    `A row of the trail has no part ${JSON.stringify(strange)} that can be scrubbed; it has ${PARTS.join(', ')}.`,
    strange,
  );
}

export class RowScrubber {
  readonly #client: pg.Client;
  readonly #entry: number;
  readonly #sealedTo: Snapshot;
  readonly #places: LeafPlaces;
  readonly #done = new Map<number, RedactedRow[]>();
  rows = 0;

  constructor(client: pg.Client, entry: number, sealedTo: string) {
    this.#client = client;
    this.#entry = entry;
    this.#sealedTo = parseSnapshot(sealedTo);
    this.#places = new LeafPlaces(client);
  }

  /** What the entry signs. */
  get lists(): RedactionEntry['lists'] {
    return [...this.#done]
      .sort(([a], [b]) => a - b)
      .map(([chain, rows]) => {
        const sorted = rows.sort((a, b) => (BigInt(a.seq) < BigInt(b.seq) ? -1 : 1));
        return { chain, rows: rows.length, sha256: redactionDigest(sorted) };
      });
  }

  /** `wanted` by seq. `actors` are ids of contexts. */
  async run(reader: pg.Client, wanted: ReadonlyMap<string, Wanted>, actors: readonly string[]): Promise<void> {
    const ids = actors.map((id) => {
      if (/^[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}$/.test(id)) return id;
      throw unknown(`${JSON.stringify(id)} is not the id of an actor's context.`, id);
    });
    const found = new Set<string>();
    const condition = `t.seq = any('{${[...wanted.keys()]}}'::bigint[]) or t.actor = any('{${ids}}'::uuid[])`;
    const contexts = new Contexts(this.#client);
    const sql = `copy (select ${LINE_SQL} from holdfast.trail t where ${condition}) to stdout`;
    await copyLines(reader, sql, async (texts) => {
      const lines = texts.map(parseLine);
      await contexts.load(lines.map((line) => line.actor));
      for (const line of lines) {
        found.add(line.seq);
        const { columns, parts } = wanted.get(line.seq) ?? wantedRow();
        const all: Wanted = ids.includes(line.actor)
          ? { columns, parts: [...parts, 'actor', 'user_id'] }
          : { columns, parts };
        await this.#row(line, contexts.get(line.actor), all);
      }
    });
    for (const seq of wanted.keys()) if (!found.has(seq)) throw unknown(`There is no change ${seq} in the trail.`, seq);
    await this.#places.flush();
    await this.#client.query('delete from holdfast.actors where id = any($1::uuid[])', [ids]);
  }

  async #row(line: Line, context: string, wanted: Wanted): Promise<void> {
    this.rows += 1;
    const place = await this.#places.find(line);
    if (!place) {
      // Committed since the last seal: it will be sealed as it is now left.
      if (isVisible(BigInt(line.xid), this.#sealedTo)) throw mismatch(line);
      await this.#blank(line, wanted);
      return;
    }
    const split = splitChanges(line.changes, place.rules?.open(line.table));
    const sealed = await this.#commitmentOf(line, context, place, split);
    for (const name of wanted.columns) {
      if (!Object.hasOwn(JSON.parse(split[0] === '\\N' ? '{}' : split[0]), name)) continue;
      throw new ConfigError('HF_REDACT_OPEN', `Column ${name} of change ${line.seq} was sealed in the open.`, {
        action: `Class ${name} as personal in holdfast.yaml: changes sealed from then on can be scrubbed of it.`,
        details: { seq: line.seq, column: name },
      });
    }
    const after = await this.#blank(line, wanted);
    await this.#record(after, sealed, place);
  }

  /** The commitment in the row's leaf, once the row was seen to be what was sealed, or what was left of it. */
  async #commitmentOf(line: Line, context: string, place: LeafPlace, split: [string, string]): Promise<string> {
    const { rows } = await this.#client.query(
      `select encode(sealed, 'hex') as sealed, encode(salt, 'hex') as salt, encode(rest, 'hex') as rest
         from holdfast.seal_redactions where seq = $1 order by entry desc limit 1`,
      [line.seq],
    );
    const before = rows[0];
    const now = commitment(line, before ? before.salt : place.salt, context, split);
    const sealed = before ? (before.sealed as string) : now;
    if ((before && now !== before.rest) || leaf(line, sealed, split) !== place.leaf) throw mismatch(line);
    return sealed;
  }

  async #blank(line: Line, wanted: Wanted): Promise<Line> {
    const { changes } = line;
    const values = changes === '\\N' ? null : (JSON.parse(changes) as Record<string, unknown>);
    for (const name of wanted.columns) {
      if (!values || !Object.hasOwn(values, name))
        throw unknown(`Change ${line.seq} has no column ${JSON.stringify(name)}.`, name);
      values[name] = JSON.parse(REDACTED);
    }
    const at = line.open.split('\t')[3];
    const { rowCount } = await this.#client.query(
      `update holdfast.trail t set changes = $5::jsonb, ${PARTS.map((part, i) => `${part} = case when $${i + 6}::boolean then null else t.${part} end`).join(', ')}
        where t.seq = $1 and t.xid = $2 and t.at = $3::timestamptz and ${line.organization === '\\N' ? '$4::text is null' : 't.organization = $4'}`,
      [
        line.seq,
        line.xid,
        at,
        fieldText(line.organization),
        values && JSON.stringify(values),
        ...PARTS.map((p) => wanted.parts.includes(p)),
      ],
    );
    if (rowCount !== 1) throw mismatch(line);
    return this.#read(line, at!);
  }

  async #read(line: Line, at: string): Promise<Line> {
    const { rows } = await this.#client.query({
      text: `select ${LINE_SQL.replaceAll(/t\.(\w+)/g, 't.$1::text')} from holdfast.trail t
              where t.seq = $1 and t.xid = $2 and t.at = $3::timestamptz`,
      values: [line.seq, line.xid, at],
      rowMode: 'array',
    });
    if (rows.length !== 1) throw mismatch(line);
    return parseLine((rows[0] as (string | null)[]).map(copyField).join('\t'));
  }

  /** What is left of the row gets a salt and a commitment of its own; the salts it had before are erased. */
  async #record(after: Line, sealed: string, place: LeafPlace): Promise<void> {
    const contexts = new Contexts(this.#client);
    await contexts.load([after.actor]);
    const salt = randomBytes(16).toString('hex');
    const split = splitChanges(after.changes, place.rules?.open(after.table));
    const rest = commitment(after, salt, contexts.get(after.actor), split);
    await this.#client.query('update holdfast.seal_redactions set salt = null where seq = $1', [after.seq]);
    await this.#client.query(
      `insert into holdfast.seal_redactions (seq, chain, entry, sealed, salt, rest)
       values ($1, $2, $3, decode($4, 'hex'), decode($5, 'hex'), decode($6, 'hex'))`,
      [after.seq, place.chain, this.#entry, sealed, salt, rest],
    );
    place.eraseSalt();
    this.#done.set(place.chain, [...(this.#done.get(place.chain) ?? []), { seq: after.seq, sealed, rest }]);
  }
}

function unknown(message: string, got: string): ConfigError {
  return new ConfigError('HF_REDACT_UNKNOWN', message, {
    action: 'Check what is to be scrubbed against holdfast.audit_trail; nothing was changed.',
    details: { got },
  });
}

function mismatch(line: Line): IntegrityError {
  return new IntegrityError('HF_SEAL_MISMATCH', `Change ${line.seq} is not what was sealed; it is not scrubbed.`, {
    action: 'Run "holdfast audit verify" and find out who altered it first; nothing was changed.',
    details: { seq: line.seq },
  });
}
