/** The log of seals, opened for the next entry: locked, and checked to be what the last entry says. */
import { IntegrityError } from '../../errors.ts';
import type { KeyService, ObjectStore } from '../../ports.ts';
import type { Client } from '../../sql.ts';
import { checkAnchors, logsInStore } from './anchors.ts';
import { isFault, lastEntry, readEntry, type WrittenEntry } from './entry.ts';
import { HeadsTree } from './heads.ts';
import type { Fault } from './types.ts';

export interface SealKeys {
  readonly keys: KeyService;
  /** Where entries are anchored. Without one, seals that are cut off at the end are not missed. */
  readonly store?: ObjectStore;
}

export interface Head {
  readonly id: number;
  readonly segments: number;
  /** Digest of the newest segment. */
  readonly head: string;
}

export interface OpenLog {
  readonly last: WrittenEntry | undefined;
  readonly epoch: string;
  readonly heads: HeadsTree;
  /** By tenant; null: rows without one. */
  readonly chains: Map<string | null, Head>;
}

/**
 * One at a time writes to the log; the lock ends with the transaction. Nothing is built on a log that was tampered with.
 * @throws IntegrityError HF_SEAL_BROKEN
 */
export async function openLog(client: Client, ctx: SealKeys, options: { resume?: boolean } = {}): Promise<OpenLog> {
  await client.query("select pg_advisory_xact_lock(hashtextextended('holdfast.seal', 0))");
  const epoch = (await client.query('select epoch::text from holdfast.installation')).rows[0].epoch as string;
  const { heads, chains } = await readHeads(client);
  const newest = await lastEntry(client);
  if (!newest) {
    const [log] = ctx.store ? await logsInStore(ctx.store, epoch) : [];
    if (log !== undefined || heads.size > 0) {
      throw broken({ kind: 'truncated', message: 'The log of seals is gone from the database.' });
    }
    return { last: undefined, epoch, heads, chains };
  }
  const last = await readEntry(newest.document, newest.number, ctx.keys);
  if (isFault(last)) throw broken(last);
  if (heads.size !== last.entry.chains || heads.root !== last.entry.heads) {
    throw broken({
      kind: 'chain',
      entry: newest.number,
      message: `The chains are not those that seal ${newest.number} vouches for.`,
    });
  }
  if (ctx.store && !options.resume) {
    const { faults } = await checkAnchors(ctx.store, last, (number) => documentOf(client, number));
    if (faults[0]) throw broken(faults[0]);
  }
  return { last, epoch, heads, chains };
}

export async function documentOf(client: Client, number: number): Promise<string | undefined> {
  const { rows } = await client.query('select document from holdfast.seal_entries where number = $1', [number]);
  return rows[0]?.document;
}

async function readHeads(client: Client): Promise<Pick<OpenLog, 'heads' | 'chains'>> {
  const { rows } = await client.query<{ id: number; tenant: string | null; segments: string; head: string }>(
    "select id, tenant, segments::text, encode(head, 'hex') as head from holdfast.seal_chains order by id",
  );
  const heads = new HeadsTree();
  const chains = new Map<string | null, Head>();
  for (const { id, tenant, segments, head } of rows) {
    if (id !== heads.size + 1) throw broken({ kind: 'chain', message: `Chain ${heads.size + 1} is gone.` });
    heads.set(id, head);
    chains.set(tenant, { id, segments: Number(segments), head });
  }
  return { heads, chains };
}

function broken(fault: Fault): IntegrityError {
  return new IntegrityError('HF_SEAL_BROKEN', `Nothing more is sealed: ${fault.message}`, {
    action:
      'Run "holdfast audit verify" and find out who did it. If a part of the database was lost with a restore of the whole ' +
      'server, go on with "holdfast audit seal --resume <reason>".',
    details: { ...fault },
  });
}
