/** What a copy may look like, told from the files alone. */
import { createHash } from 'node:crypto';
import { existsSync, readdirSync, readFileSync } from 'node:fs';
import { join } from 'node:path';

/** Path to SHA-256 of every file; what a killed writer leaves is nobody's. */
export function filesOf(directory: string): Map<string, string> {
  const files = new Map<string, string>();
  if (!existsSync(directory)) return files;
  for (const entry of readdirSync(directory, { recursive: true, withFileTypes: true })) {
    if (!entry.isFile() || entry.name.startsWith('.tmp-')) continue;
    const path = join(entry.parentPath, entry.name);
    files.set(path.slice(directory.length + 1), createHash('sha256').update(readFileSync(path)).digest('hex'));
  }
  return files;
}

/** The first thing that is wrong with a copy of `sound`: a byte that is not its own, or a listed backup that lacks something. */
export function wrongWith(directory: string, sound: ReadonlyMap<string, string>): string | undefined {
  const files = filesOf(directory);
  for (const [name, digest] of files) {
    if (sound.get(name) !== digest) return `${name} holds other bytes than were written at the source`;
  }
  const listed = [...files.keys()].filter((name) => name.startsWith('manifests/'));
  const ids = listed.map((name) => name.slice(name.lastIndexOf('/') + 1, -'.json'.length));
  for (const name of listed) {
    const manifest = JSON.parse(readFileSync(join(directory, name), 'utf8'));
    const lacking = manifest.objects.find((object: { name: string }) => !files.has(object.name));
    if (lacking) return `${name} is listed, but ${lacking.name} is not there`;
    if (manifest.type !== 'full' && !ids.includes(manifest.parent))
      return `${name} is listed, but not what it continues`;
    for (const tenant of Object.keys(manifest.keys)) {
      const has = [...files.keys()].some(
        (key) => key.startsWith('keys/') && JSON.parse(readFileSync(join(directory, key), 'utf8')).tenant === tenant,
      );
      if (!has) return `${name} is listed, but no key of ${tenant} is there`;
    }
  }
  return undefined;
}
