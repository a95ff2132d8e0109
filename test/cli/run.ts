/** Drives the command line as a person or a script does: as a process of its own. */
import { type ChildProcess, spawn } from 'node:child_process';
import { createHash } from 'node:crypto';
import { readdir, readFile } from 'node:fs/promises';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';

export const BIN = fileURLToPath(new URL('../../bin/holdfast.mjs', import.meta.url));

export interface Ran {
  readonly code: number | null;
  readonly stdout: string;
  readonly stderr: string;
  /** The last line, parsed, where `--json` was given. */
  // biome-ignore lint/suspicious/noExplicitAny: each command has its own shape
  readonly json: any;
}

export interface RunOptions {
  readonly cwd: string;
  readonly url?: string | undefined;
  /** Run through `bash -c` after these words, e.g. `ulimit -f 64`. */
  readonly after?: string;
  readonly onStart?: (child: ChildProcess) => void;
}

export function holdfast(args: readonly string[], options: RunOptions): Promise<Ran> {
  const { HOLDFAST_DATABASE_URL: _, HOLDFAST_CONFIG: __, ...rest } = process.env;
  const env = { ...rest, ...(options.url === undefined ? {} : { HOLDFAST_DATABASE_URL: options.url }) };
  const command = [process.execPath, BIN, ...args];
  const child = options.after
    ? spawn('bash', ['-c', `${options.after} && exec "$@"`, 'bash', ...command], { cwd: options.cwd, env })
    : spawn(command[0]!, command.slice(1), { cwd: options.cwd, env });
  options.onStart?.(child);
  return new Promise((done, fail) => {
    let stdout = '';
    let stderr = '';
    child.stdout!.on('data', (data) => {
      stdout += data;
    });
    child.stderr!.on('data', (data) => {
      stderr += data;
    });
    child.on('error', fail);
    child.on('close', (code) => {
      const last = stdout.trimEnd().split('\n').at(-1) ?? '';
      done({ code, stdout, stderr, json: args.includes('--json') && last !== '' ? JSON.parse(last) : undefined });
    });
  });
}

/** Every file under a directory with the SHA-256 of its bytes. */
export async function listing(directory: string): Promise<Record<string, string>> {
  const found: Record<string, string> = {};
  for (const entry of await readdir(directory, { withFileTypes: true, recursive: true })) {
    if (!entry.isFile()) continue;
    const path = join(entry.parentPath, entry.name);
    found[path.slice(directory.length + 1)] = createHash('sha256')
      .update(await readFile(path))
      .digest('hex');
  }
  return found;
}
