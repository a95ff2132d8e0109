/**
 * A second reader of the format, written from docs/backup-format.md and sharing no code with core/: only node:crypto,
 * node:zlib, node:fs. It reads a directory store with a local key file and a person key directory.
 */
import { createDecipheriv, createHash, createPrivateKey, createPublicKey, hkdfSync, verify } from 'node:crypto';
import { existsSync, readdirSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import { inflateRawSync, zstdDecompressSync } from 'node:zlib';

interface Json {
  // biome-ignore lint/suspicious/noExplicitAny: the point is to rely on the document, not on types of core/
  [key: string]: any;
}

function canonical(value: unknown): string {
  if (Array.isArray(value)) return `[${value.map(canonical).join(',')}]`;
  if (value === null || typeof value !== 'object') return JSON.stringify(value);
  const keys = Object.keys(value).sort();
  return `{${keys.map((key) => `${JSON.stringify(key)}:${canonical((value as Json)[key])}`).join(',')}}`;
}

function gcm(
  key: Uint8Array,
  nonce: Uint8Array,
  aad: Uint8Array | string,
  ciphertext: Uint8Array,
  tag: Uint8Array,
): Buffer {
  const decipher = createDecipheriv('aes-256-gcm', key, nonce);
  decipher.setAAD(Buffer.from(aad as string));
  decipher.setAuthTag(tag);
  return Buffer.concat([decipher.update(ciphertext), decipher.final()]);
}

function unwrap(key: Uint8Array, context: Json, wrapped: Buffer): Buffer {
  const end = wrapped.length - 16;
  return gcm(key, wrapped.subarray(0, 12), canonical(context), wrapped.subarray(12, end), wrapped.subarray(end));
}

const hkdf = (key: Uint8Array, salt: Uint8Array | string, info: string): Buffer =>
  Buffer.from(hkdfSync('sha256', key, salt, info, 32));

export function readDocument(bytes: Buffer): Json {
  const value = JSON.parse(bytes.toString()) as Json;
  if (`${canonical(value)}\n` !== bytes.toString()) throw new Error('not a document');
  return value;
}

/** `roots`: key by version. */
export function tenantKey(document: Json, roots: ReadonlyMap<number, Buffer>): Buffer {
  const { id, rootKey, store, tenant } = document;
  const wrapped = Buffer.from(document.wrapped, 'base64');
  const context = { id, purpose: 'tenant-key', rootKey, store, tenant };
  return unwrap(roots.get(wrapped.readUInt32BE(0))!, context, wrapped.subarray(4));
}

export function backupKey(entry: Json, key: Buffer, backup: string, tenant: string): Buffer {
  const context = { backup, purpose: 'backup-key', tenant, tenantKey: entry.tenantKey };
  return unwrap(hkdf(key, '', 'holdfast-tenant-1/backup-key'), context, Buffer.from(entry.wrapped, 'base64'));
}

export interface Place {
  readonly backup: string;
  readonly tenant: string;
  readonly object: string;
  readonly ordinal: number;
}

/** Rows by table, as lines of fields. `personKey` gives undefined for an erased person, and throws for a lost key. */
export function readSlab(
  bytes: Buffer,
  key: Buffer,
  place: Place,
  personKey: (ref: string) => Buffer | undefined,
): Map<string, string[]> {
  if (bytes.toString('latin1', 0, 4) !== 'HFS1') throw new Error('not a slab');
  const { backup, tenant, object, ordinal } = place;
  const salt = bytes.subarray(4, 20);
  const slabKey = hkdf(key, salt, JSON.stringify(['holdfast-slab-1', backup, tenant, object, ordinal]));
  const pieces: Buffer[] = [];
  let at = 20;
  for (let last = false; !last; ) {
    const word = bytes.readUInt32BE(at);
    last = word >= 2 ** 31;
    const nonce = Buffer.alloc(12);
    nonce.writeUInt32BE(pieces.length, 7);
    nonce[11] = last ? 1 : 0;
    const end = at + 4 + (word % 2 ** 31);
    const frame = gcm(
      slabKey,
      nonce,
      bytes.subarray(at, at + 4),
      bytes.subarray(at + 4, end),
      bytes.subarray(end, end + 16),
    );
    pieces.push(zstdDecompressSync(frame));
    at = end + 16;
  }
  const stream = Buffer.concat(pieces);
  const length = stream.readUInt32BE(0);
  const directory = JSON.parse(stream.toString('utf8', 4, 4 + length)) as Json;

  const aad = JSON.stringify(['holdfast-capsule-1', backup, tenant, object, ordinal, salt.toString('hex')]);
  const parts = directory.persons.map(([ref, raw, stored]: [string, number, number]) => {
    const capsule = bytes.subarray(at, at + stored);
    at += stored;
    const person = personKey(ref);
    if (!person) return undefined;
    const end = capsule.length - 16;
    let content = gcm(
      person,
      capsule.subarray(0, 12),
      `${aad} ${ref}`,
      capsule.subarray(12, end),
      capsule.subarray(end),
    );
    if (stored !== raw + 28) content = raw < 4096 ? inflateRawSync(content) : zstdDecompressSync(content);
    let from = 4 * directory.sections.length;
    return directory.sections.map((_: Json, s: number) => {
      const part = content.subarray(from, from + content.readUInt32BE(4 * s));
      from += part.length;
      return lines(part);
    });
  });
  if (at !== bytes.length) throw new Error('bytes left over');

  const rows = new Map<string, string[]>();
  let from = 4 + length;
  for (const [s, section] of directory.sections.entries()) {
    const open = lines(stream.subarray(from, from + section.bytes));
    from += section.bytes;
    const taken = parts.map(() => 0);
    const joined = rows.get(section.table) ?? [];
    rows.set(section.table, joined);
    let row = 0;
    for (let i = 0; i < section.runs.length; i += 2) {
      const person = section.runs[i];
      for (let n = 0; n < section.runs[i + 1]; n++, row++) {
        if (person < 0 || section.sealed.length === 0) {
          joined.push(open[row]!);
          continue;
        }
        const own = parts[person]?.[s][taken[person]++] ?? section.sealed.map(() => '\\N').join('\t');
        joined.push(section.columns.length > 0 ? `${open[row]}\t${own}` : own);
      }
    }
    if (row !== section.rows || open.length !== section.rows) throw new Error('rows do not add up');
  }
  return rows;
}

const lines = (text: Buffer): string[] => text.toString().split('\n').slice(0, -1);

/** Every row of a backup in a directory store, by `tenant table`. */
export function readBackup(
  store: string,
  manifestName: string,
  keyFile: string,
  persons: string,
): Map<string, string[]> {
  const keys = JSON.parse(readFileSync(keyFile, 'utf8')) as Json;
  const roots = new Map<number, Buffer>(
    keys.roots.map((root: Json) => [root.version, Buffer.from(root.key, 'base64')]),
  );
  const marker = readDocument(readFileSync(join(store, 'holdfast-store.json')));
  const manifest = readDocument(readFileSync(join(store, manifestName)));
  for (const document of [marker, manifest]) {
    const { signature, ...rest } = document;
    const own = keys.signing.find(({ id }: Json) => `local:${keys.id}#${id}` === signature.keyId);
    const key = createPublicKey(
      createPrivateKey({ key: Buffer.from(own.privateKey, 'base64'), format: 'der', type: 'pkcs8' }),
    );
    const value = Buffer.from(signature.value, 'base64');
    if (!verify(null, Buffer.from(canonical(rest)), key, value)) throw new Error('signature');
  }
  if (manifest.format !== 'holdfast-backup' || manifest.version !== 1 || manifest.store !== marker.id)
    throw new Error('foreign');

  const all = new Map<string, string[]>();
  for (const object of manifest.objects) {
    const file = readFileSync(join(store, object.name));
    for (const [ordinal, slab] of object.slabs.entries()) {
      const { tenant } = slab;
      const bytes = file.subarray(slab.offset, slab.offset + slab.length);
      if (createHash('sha256').update(bytes).digest('hex') !== slab.sha256) throw new Error('damaged');
      const number = manifest.keys[tenant].tenantKey;
      const wrapped = readDocument(readFileSync(join(store, 'keys', tenantPath(tenant), `${number}.json`)));
      const key = backupKey(manifest.keys[tenant], tenantKey(wrapped, roots), manifest.id, tenant);
      const place = { backup: manifest.id, tenant, object: object.name, ordinal };
      const known = personKeys(persons, tenant, roots);
      const opened = readSlab(bytes, key, place, (ref) => {
        if (!known.has(ref)) throw new Error(`lost key of ${ref}`);
        return known.get(ref);
      });
      for (const [table, rows] of opened) {
        if (rows.length !== slab.rows[table]) throw new Error('rows do not add up');
        all.set(`${tenant} ${table}`, [...(all.get(`${tenant} ${table}`) ?? []), ...rows]);
      }
    }
  }
  return all;
}

function tenantPath(tenant: string): string {
  if (tenant === '_shared') return tenant;
  const escaped = [...Buffer.from(tenant)].map((byte, i) => {
    const plain = i === 0 ? /[a-z0-9]/ : /[a-z0-9_-]/;
    const character = String.fromCharCode(byte);
    return plain.test(character) ? character : `%${byte.toString(16).padStart(2, '0')}`;
  });
  const path = escaped.join('');
  if (path.length <= 200) return path;
  return `${path.slice(0, 120)}~${createHash('sha256').update(tenant).digest('hex')}`;
}

/** Key by reference; undefined for a fenced one. */
function personKeys(
  directory: string,
  tenant: string,
  roots: ReadonlyMap<number, Buffer>,
): Map<string, Buffer | undefined> {
  const folder = join(directory, tenantPath(tenant));
  const keys = new Map<string, Buffer | undefined>();
  if (!existsSync(folder) || !readdirSync(folder).includes('keys.bin')) return keys;
  const { wrapped } = JSON.parse(readFileSync(join(folder, 'tenant.json'), 'utf8')) as Json;
  const bytes = Buffer.from(wrapped, 'base64');
  const secret = unwrap(roots.get(bytes.readUInt32BE(0))!, { purpose: 'person-keys', tenant }, bytes.subarray(4));
  const wrapping = hkdf(secret, '', 'holdfast-person-1/wrap');
  const file = readFileSync(join(folder, 'keys.bin'));
  for (let at = 24; at < Number(file.readBigUInt64BE(16)); at += 84) {
    const ref = file.toString('hex', at, at + 16);
    const live = file[at + 16] === 'L'.charCodeAt(0);
    const context = { purpose: 'person-key', ref };
    keys.set(ref, live ? unwrap(wrapping, context, file.subarray(at + 24, at + 84)) : undefined);
  }
  return keys;
}
