/**
 * Results of restore tests, kept in the store beside what they tell of, so that "last proven restorable" outlives the database.
 * Signed, because whoever can write into the store could otherwise say that a backup restores.
 */
import type { Context } from '../context.ts';
import { signedBytes } from './canonical.ts';
import { documentBytes, parseDocument } from './store.ts';

const FOLDER = 'proofs/';
const FORMAT = 'holdfast-proof';

export interface StoredProof {
  readonly backup: string;
  /** When the test ended, ISO 8601 to the microsecond. */
  readonly at: string;
  /** What the test found, as the catalog keeps it. `ok` true: it restores; false: it does not; null: no test could be made. */
  readonly result: { readonly ok: boolean | null };
}

type StoreAndKeys = Pick<Context, 'store' | 'keys'>;

/** Adds one result; earlier ones stay. */
export async function writeProof({ store, keys }: StoreAndKeys, proof: StoredProof): Promise<void> {
  const unsigned = { format: FORMAT, version: 1, ...proof };
  const signature = await keys.sign(signedBytes(unsigned));
  const name = `${proofFolder(proof.backup)}${proof.at.replace(/[-:.]/g, '')}.json`;
  await store.put(name, documentBytes({ ...unsigned, signature }));
}

/** Every result whose signature holds, in the order of backups, oldest first. One that does not hold proves nothing. */
export async function* readProofs({ store, keys }: StoreAndKeys): AsyncGenerator<StoredProof> {
  for await (const { name } of store.list(FOLDER)) {
    const document = parseDocument(await store.get(name), name) as StoredProof & { format: string; signature: never };
    const { format, signature, backup } = document;
    if (format !== FORMAT || !name.startsWith(proofFolder(backup))) continue;
    if (await keys.verify(signedBytes(document), signature)) yield document;
  }
}

export const proofFolder = (backup: string): string => `${FOLDER}${backup}/`;
