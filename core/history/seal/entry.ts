/** Entries of the log of seals: how they are made, and what one must be to be believed. */
import { hash, randomBytes } from 'node:crypto';
import type { KeyService, Trust } from '../../ports.ts';
import { canonicalJson, signedBytes } from '../../snapshot/canonical.ts';
import type { Client } from '../../sql.ts';
import type { HeadsTree } from './heads.ts';
import {
  type Entry,
  type EntryBody,
  type Fault,
  NOTHING,
  SEAL_FORMAT,
  SEAL_VERSION,
  type SegmentHeader,
} from './types.ts';

/** An entry with the bytes that it is written as. */
export interface WrittenEntry {
  readonly entry: Entry;
  readonly document: string;
  readonly sha256: string;
}

/** SHA-256 of the document and its newline: what `sha256sum` says of an anchor in the store. */
const entryDigest = (document: string): string => hash('sha256', `${document}\n`, 'hex');

export const segmentDigest = (header: string): string => hash('sha256', `holdfast-segment-1\n${header}`, 'hex');

export const leavesDigest = (leaves: Uint8Array): string =>
  hash('sha256', Buffer.concat([Buffer.from('holdfast-leaves-1\n'), leaves]), 'hex');

export const headerText = (header: SegmentHeader): string => canonicalJson(header);

/** Signs the next entry. `log` begins a new one. */
export async function makeEntry(
  keys: Pick<KeyService, 'sign'>,
  before: WrittenEntry | undefined,
  epoch: string,
  heads: HeadsTree,
  body: EntryBody,
  options: { newLog?: boolean } = {},
): Promise<WrittenEntry> {
  const number = (before?.entry.number ?? 0) + 1;
  const goesOn = before && !options.newLog ? before.entry : undefined;
  const unsigned = {
    format: SEAL_FORMAT,
    version: SEAL_VERSION,
    log: goesOn?.log ?? randomBytes(16).toString('hex'),
    since: goesOn?.since ?? number,
    epoch,
    number,
    previous: before?.sha256 ?? NOTHING,
    at: new Date().toISOString(),
    chains: heads.size,
    heads: heads.root,
    ...body,
  };
  const entry = { ...unsigned, signature: await keys.sign(signedBytes(unsigned)) } as Entry;
  const document = canonicalJson(entry);
  return { entry, document, sha256: entryDigest(document) };
}

export async function insertEntry(client: Client, { entry, document }: WrittenEntry): Promise<void> {
  await client.query('insert into holdfast.seal_entries (number, document) values ($1, $2)', [entry.number, document]);
}

/** The last entry, as it stands; undefined when nothing was sealed yet. */
export async function lastEntry(client: Client): Promise<{ number: number; document: string } | undefined> {
  const { rows } = await client.query(
    'select number::text, document from holdfast.seal_entries e order by e.number desc limit 1',
  );
  return rows[0] && { number: Number(rows[0].number), document: rows[0].document };
}

/** Reads an entry and checks its form, its number and its signature; not its place among the others. */
export async function readEntry(document: string, number: number, trust: Trust): Promise<WrittenEntry | Fault> {
  const fault = (kind: Fault['kind'], message: string): Fault => ({ kind, message, entry: number });
  let entry: Entry;
  try {
    entry = JSON.parse(document) as Entry;
    if (canonicalJson(entry) !== document || entry.format !== SEAL_FORMAT) throw new TypeError();
  } catch {
    return fault('malformed', `Seal ${number} was edited: it is not a seal in canonical form.`);
  }
  if (entry.version !== SEAL_VERSION) {
    return fault('malformed', `Seal ${number} has version ${entry.version}; this Holdfast reads ${SEAL_VERSION}.`);
  }
  const { signature } = entry;
  const known = (await trust.publicKeys()).some(({ keyId }) => keyId === signature?.keyId);
  if (!known) {
    return fault('key-unknown', `Seal ${number} is signed by ${signature?.keyId}, a key that is not trusted here.`);
  }
  const exact = Buffer.from(signature.value, 'base64').toString('base64') === signature.value;
  if (!exact || !(await trust.verify(signedBytes(entry), signature))) {
    return fault('signature', `The signature of seal ${number} does not hold: it was edited after it was signed.`);
  }
  if (entry.number !== number) {
    return fault('reordered', `In the place of seal ${number} stands seal ${entry.number}.`);
  }
  return { entry, document, sha256: entryDigest(document) };
}

export const isFault = (value: WrittenEntry | Fault): value is Fault => 'kind' in value;
