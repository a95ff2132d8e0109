/**
 * A page: a listing of files of one tenant, as a slab of rows, like those of any table. What tells of a person (path, content's
 * hash, times) stands in that person's capsule; which objects hold contents stands in the open part, so that cleanup needs
 * nobody's key but the tenant's.
 */
import { createHash } from 'node:crypto';
import { IntegrityError } from '../errors.ts';
import { fieldText } from '../history/seal/leaf.ts';
import type { ObjectStore, PersonKey, PersonKeyStore } from '../ports.ts';
import { copyLine } from '../restore/copy.ts';
import { type Keyring, subkey } from '../snapshot/keyring.ts';
import { personKeys } from '../snapshot/readSlab.ts';
import { openSplit, type SplitSlab, sealSlab } from '../snapshot/slab.ts';
import { runOf } from './names.ts';
import type { FileEntry, FilePage, FileState, Part } from './types.ts';

const PAGE_TABLE = 'holdfast.files';
const OPEN = ['set', 'content', 'stored', 'tenant_key'] as const;
const SEALED = ['path', 'size', 'sha256', 'token', 'since', 'state', 'about'] as const;

export interface PageKeys {
  readonly store: ObjectStore;
  readonly persons: PersonKeyStore;
  readonly keyring: Keyring;
}

/** What is known of a file whose person was erased. */
export interface ErasedEntry {
  readonly set: string;
  readonly content: string;
  readonly stored: number;
  readonly person: string;
}

export interface OpenPage {
  readonly entries: readonly FileEntry[];
  readonly erased: readonly ErasedEntry[];
}

const slabKey = (tenantKey: Buffer): Buffer => subkey(tenantKey, 'files');
const place = (tenant: string, object: string) => ({ backup: runOf(object), tenant, object, ordinal: 0 });

/** Writes a page as the object `object`. `keys` has the key of every person in `entries`. */
export async function writePage(
  { store, keyring }: Pick<PageKeys, 'store' | 'keyring'>,
  about: {
    readonly tenant: string;
    readonly set: string;
    readonly object: string;
    readonly at: string;
    readonly part?: Part | undefined;
  },
  entries: readonly FileEntry[],
  keys: ReadonlyMap<string, PersonKey>,
): Promise<FilePage> {
  const { tenant, set, object, at, part } = about;
  const { id: tenantKey, key } = await keyring.tenantKey(tenant);
  const byPerson = new Map<string | null, FileEntry[]>();
  for (const entry of entries) {
    const own = byPerson.get(entry.person);
    if (own) own.push(entry);
    else byPerson.set(entry.person, [entry]);
  }
  const persons = [...byPerson.keys()].filter((ref) => ref !== null);
  const groups = [...byPerson].map(([ref, own]) => ({ index: ref === null ? -1 : persons.indexOf(ref), own }));
  const open = groups.map(({ index, own }) =>
    own.map((e) => copyLine(index < 0 ? [...openFields(e), ...sealedFields(e)] : openFields(e))).join(''),
  );
  const bytes = await sealSlab(
    {
      ...place(tenant, object),
      snapshot: at,
      sections: [
        {
          table: PAGE_TABLE,
          columns: OPEN,
          sealed: SEALED,
          rows: entries.length,
          runs: groups.map(({ index, own }): [number, number] => [index, own.length]),
          open: Buffer.from(open.join('')),
        },
      ],
      persons: persons.map((ref) => {
        const rows = byPerson.get(ref)!.map((entry) => copyLine(sealedFields(entry)));
        return { ref, key: keys.get(ref)!.key, parts: [Buffer.from(rows.join(''))] };
      }),
    },
    slabKey(key),
  );
  await store.put(object, bytes);
  const page = { set, object, tenantKey, length: bytes.length, sha256: sha256(bytes), files: entries.length };
  return part ? { ...page, part } : page;
}

/**
 * Entries of a page, those of erased persons apart.
 * @throws IntegrityError HF_OBJECT_MISSING, HF_OBJECT_TRUNCATED, HF_SLAB_CORRUPT, HF_SLAB_MALFORMED
 * @throws KeyError HF_KEY_MISSING, HF_KEY_WRONG, HF_PERSON_KEY_UNKNOWN
 */
export async function readPage(reader: PageKeys, tenant: string, page: FilePage): Promise<OpenPage> {
  return open(reader, tenant, page, (refs) => personKeys(reader, tenant, refs));
}

/** Objects that a page names, without any person's key. Same errors. */
export async function contentsOf(
  reader: Omit<PageKeys, 'persons'>,
  tenant: string,
  page: FilePage,
): Promise<{ content: string; stored: number }[]> {
  const { entries, erased } = await open(reader, tenant, page, async () => new Map());
  return [...entries, ...erased];
}

async function open(
  reader: Omit<PageKeys, 'persons'>,
  tenant: string,
  page: FilePage,
  persons: (refs: readonly string[]) => Promise<Map<string, PersonKey>>,
): Promise<OpenPage> {
  const { object, length } = page;
  const bytes = await reader.store.get(object, { offset: 0, length });
  const got = sha256(bytes);
  if (got !== page.sha256) {
    throw new IntegrityError('HF_SLAB_CORRUPT', `The listing ${object} is damaged.`, {
      action: 'Bring this object back from another copy of the store, or use another run ("holdfast files list").',
      details: { object, tenant, offset: 0, length, expected: page.sha256, got },
    });
  }
  const { key } = await reader.keyring.tenantKeyById(tenant, page.tenantKey);
  const slab = await openSplit(bytes, { backupKey: slabKey(key), expect: place(tenant, object), persons });
  const [section] = slab.sections;
  const sound = slab.sections.length === 1 && section!.table === PAGE_TABLE && section!.rows === page.files;
  if (!sound || String(section!.columns) !== String(OPEN) || String(section!.sealed) !== String(SEALED)) {
    throw new IntegrityError('HF_SLAB_MALFORMED', `${object} is not a listing of ${page.files} files.`, {
      action: 'The writer of this run was at fault: use another run, and report this.',
      details: { object, tenant },
    });
  }
  return join(slab.persons, section!);
}

const openFields = (e: FileEntry): (string | null)[] => [e.set, e.content, String(e.stored), e.tenantKey];
const sealedFields = (e: FileEntry): string[] => [
  e.path,
  String(e.size),
  e.sha256,
  e.token,
  e.since,
  e.state,
  JSON.stringify(e.about),
];

/** Joins the halves of the rows, run by run. */
function join(persons: SplitSlab['persons'], { runs, open, parts }: SplitSlab['sections'][number]): OpenPage {
  const entries: FileEntry[] = [];
  const erased: ErasedEntry[] = [];
  const rows = linesOf(open);
  const sealed = parts.map((part) => part && linesOf(part));
  for (let i = 0; i < runs.length; i += 2) {
    const index = runs[i]!;
    const person = index < 0 ? null : persons[index]!.ref;
    for (let left = runs[i + 1]!; left > 0; left--) {
      const fields = rows.next().value!;
      const [set, content, stored, tenantKey] = fields;
      const named = { set: set!, content: content!, stored: Number(stored) };
      if (person !== null && !sealed[index]) {
        erased.push({ ...named, person });
        continue;
      }
      const [path, size, hash, token, since, state, about] =
        person === null ? fields.slice(OPEN.length) : sealed[index]!.next().value!;
      entries.push({
        ...named,
        person,
        tenantKey: tenantKey!,
        path: path!,
        size: Number(size),
        sha256: hash!,
        token: token!,
        since: since!,
        state: state as FileState,
        about: JSON.parse(about!),
      });
    }
  }
  return { entries, erased };
}

/** Fields of each row. The pages are authentic, so what they hold is what a writer of this version put there. */
function* linesOf(text: Buffer): Generator<(string | null)[], undefined> {
  for (const line of text.toString('utf8').split('\n').slice(0, -1)) yield line.split('\t').map(fieldText);
  return undefined;
}

const sha256 = (bytes: Uint8Array): string => createHash('sha256').update(bytes).digest('hex');
