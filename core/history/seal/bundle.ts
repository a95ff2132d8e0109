/** One tenant's chain with its rows, as files that can be verified without the database. docs/sealing.md describes them. */

import { once } from 'node:events';
import { createWriteStream } from 'node:fs';
import { mkdir, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import type pg from 'pg';
import { ConfigError, HoldfastError, IntegrityError } from '../../errors.ts';
import { canonicalJson } from '../../snapshot/canonical.ts';
import { connect, literal } from '../../sql.ts';
import { isVisible, parseSnapshot } from '../snapshots.ts';
import { Contexts } from './contexts.ts';
import { lastEntry } from './entry.ts';
import { entriesOf } from './entryLog.ts';
import { HeadsTree } from './heads.ts';
import { LINE_SQL, parseLine } from './leaf.ts';
import { copyLines } from './lines.ts';
import { inOneSnapshot, tableNames } from './rowGroup.ts';
import { SALT_BYTES } from './segments.ts';
import type { Entry } from './types.ts';

export const BUNDLE_FORMAT = 'holdfast-audit-bundle';
export const BUNDLE_VERSION = 1;

/** `bundle.json` */
export interface BundleHead {
  readonly format: typeof BUNDLE_FORMAT;
  readonly version: number;
  readonly tenant: string | null;
  readonly chain: number;
  readonly segments: number;
  readonly rows: number;
  /** The newest entry, which vouches for the chain's newest segment by `path`. */
  readonly entry: Entry;
  readonly path: readonly (string | null)[];
  /** Documents by digest. */
  readonly rules: Readonly<Record<string, string>>;
  /** Names of tables by id; not sealed. */
  readonly tables: Readonly<Record<string, string>>;
}

export interface ExportReport {
  readonly segments: number;
  readonly rows: number;
  readonly head: number;
}

/**
 * `tenant` null: rows without one. Writes into a folder that must be new or empty.
 * @throws ConfigError HF_AUDIT_NO_CHAIN, HF_AUDIT_FOLDER; IntegrityError HF_SEAL_BROKEN
 */
export async function exportBundle(databaseUrl: string, tenant: string | null, folder: string): Promise<ExportReport> {
  await prepareFolder(folder);
  const [client, second] = [await connect(databaseUrl, 'holdfast-audit'), await connect(databaseUrl, 'holdfast-audit')];
  try {
    return await inOneSnapshot(client, second, () => write(client, second, tenant, folder));
  } finally {
    await Promise.all([client.end(), second.end()]);
  }
}

async function prepareFolder(folder: string): Promise<void> {
  try {
    await mkdir(folder, { recursive: true, mode: 0o700 });
    await writeFile(join(folder, 'rows.tsv'), '', { flag: 'wx', mode: 0o600 });
  } catch (cause) {
    throw new ConfigError(
      'HF_AUDIT_FOLDER',
      `The bundle cannot be written to ${folder}: ${(cause as Error).message}.`,
      {
        cause,
        action: 'Name a folder that is new or holds no bundle yet.',
        details: { folder },
      },
    );
  }
}

async function write(
  client: pg.Client,
  second: pg.Client,
  tenant: string | null,
  folder: string,
): Promise<ExportReport> {
  const newest = await lastEntry(client);
  const { chain, path } = await place(client, tenant, newest);
  const entry = JSON.parse(newest!.document) as Entry;
  const rules = new Set<string>();
  const out = (name: string) => new Output(join(folder, name));
  const [headers, leaves, salts] = [out('segments.jsonl'), out('leaves.bin'), out('salts.bin')];
  let segments = 0;
  for await (const s of segmentsOf(client, chain)) {
    segments += 1;
    rules.add((JSON.parse(s.header) as { rules: string }).rules);
    await headers.write(`${s.header}\n`);
    await leaves.write(s.leaves);
    await salts.write(s.salts ?? Buffer.alloc((s.leaves.length / 40) * SALT_BYTES));
  }
  const notes = out('entries.jsonl');
  for await (const { document } of entriesOf(client)) {
    const { kind } = JSON.parse(document) as Entry;
    if (kind !== 'batch') await notes.write(`${document}\n`);
  }
  const redactions = out('redactions.tsv');
  const { rows: scrubbed } = await client.query(
    `select seq::text, entry::text, encode(sealed, 'hex') as sealed, coalesce(encode(salt, 'hex'), '-') as salt, encode(rest, 'hex') as rest
       from holdfast.seal_redactions r where chain = $1 order by entry, r.seq`,
    [chain],
  );
  for (const r of scrubbed) await redactions.write(`${[r.seq, r.entry, r.sealed, r.salt, r.rest].join('\t')}\n`);
  const rows = await writeRows(client, second, tenant, out('rows.tsv'));
  await Promise.all([headers, leaves, salts, notes, redactions].map((file) => file.end()));
  const documents = await client.query('select sha256, document from holdfast.seal_rules where sha256 = any($1)', [
    [...rules],
  ]);
  const head: BundleHead = {
    format: BUNDLE_FORMAT,
    version: BUNDLE_VERSION,
    tenant,
    chain,
    segments,
    rows,
    entry,
    path,
    rules: Object.fromEntries(documents.rows.map((r) => [r.sha256, r.document])),
    tables: Object.fromEntries(await tableNames(client)),
  };
  await writeFile(join(folder, 'bundle.json'), `${canonicalJson(head)}\n`, { mode: 0o600 });
  return { segments, rows, head: entry.number };
}

/** The tenant's chain, and the way from its head to what the newest entry signs. */
async function place(client: pg.Client, tenant: string | null, newest: { document: string } | undefined) {
  const { rows } = await client.query<{ id: number; head: string; own: boolean }>(
    `select id, encode(head, 'hex') as head, tenant is not distinct from $1 as own from holdfast.seal_chains order by id`,
    [tenant],
  );
  const heads = new HeadsTree();
  for (const { id, head } of rows) heads.set(id, head);
  const chain = rows.find(({ own }) => own)?.id;
  if (chain === undefined || !newest) {
    throw new ConfigError(
      'HF_AUDIT_NO_CHAIN',
      `Nothing of ${tenant === null ? 'rows without a tenant' : `tenant ${tenant}`} was sealed.`,
      {
        action: 'Check the name of the tenant, and that "holdfast maintain" runs.',
        details: { tenant },
      },
    );
  }
  if (heads.root !== (JSON.parse(newest.document) as Entry).heads) {
    throw new IntegrityError('HF_SEAL_BROKEN', 'The chains are not those that the newest seal vouches for.', {
      action: 'Run "holdfast audit verify"; it names what was tampered with.',
    });
  }
  return { chain, path: heads.path(chain) };
}

async function* segmentsOf(
  client: pg.Client,
  chain: number,
): AsyncIterable<{ header: string; leaves: Buffer; salts: Buffer | null }> {
  for (let after = '0'; ; ) {
    const { rows } = await client.query(
      `select s.number::text, s.header, s.leaves, t.salts from holdfast.seal_segments s left join holdfast.seal_salts t using (chain, number)
        where s.chain = $1 and s.number > $2 order by s.number limit 50`,
      [chain, after],
    );
    yield* rows;
    if (rows.length === 0) return;
    after = rows.at(-1).number;
  }
}

/** The context of the actor, then the row, as COPY writes them. */
async function writeRows(client: pg.Client, second: pg.Client, tenant: string | null, out: Output): Promise<number> {
  const { rows: batches } = await second.query(
    `select document::jsonb ->> 'to' as at from holdfast.seal_entries where document::jsonb ->> 'kind' = 'batch' order by number desc limit 1`,
  );
  const to = parseSnapshot(batches[0].at);
  const contexts = new Contexts(second);
  const own = tenant === null ? 't.organization is null' : `t.organization = ${literal(tenant)}`;
  let count = 0;
  const sql = `copy (select ${LINE_SQL} from holdfast.trail t where ${own} and t.xid < ${to.xmax} order by t.seq) to stdout`;
  await copyLines(client, sql, async (texts) => {
    const lines = texts.map((text) => ({ text, ...parseLine(text) })).filter(({ xid }) => isVisible(BigInt(xid), to));
    await contexts.load(lines.map((line) => line.actor));
    count += lines.length;
    await out.write(lines.map(({ text, actor }) => `${contexts.get(actor)}\t${text}\n`).join(''));
  });
  await out.end();
  return count;
}

/** A file that is only its owner's to read, written piece by piece. */
class Output {
  readonly #stream;
  #failure: Error | undefined;

  constructor(path: string) {
    this.#stream = createWriteStream(path, { mode: 0o600 });
    this.#stream.on('error', (error) => {
      this.#failure = error;
    });
  }

  async write(piece: string | Buffer): Promise<void> {
    this.#check();
    if (!this.#stream.write(piece)) await once(this.#stream, 'drain');
  }

  async end(): Promise<void> {
    this.#stream.end();
    await once(this.#stream, 'close');
    this.#check();
  }

  #check(): void {
    if (!this.#failure) return;
    throw new HoldfastError('HF_AUDIT_FOLDER', `The bundle cannot be written: ${this.#failure.message}.`, {
      cause: this.#failure,
      action: 'Make room, or name another folder, and export again.',
    });
  }
}
