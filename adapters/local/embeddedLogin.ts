/** Port and password of an embedded server live beside its data, readable by the owner only, so that the next start finds them. */
import { randomBytes } from 'node:crypto';
import { existsSync } from 'node:fs';
import { readFile, rename, writeFile } from 'node:fs/promises';
import { createServer } from 'node:net';
import { join } from 'node:path';

export interface Login {
  readonly port: number;
  readonly password: string;
}

export async function readLogin(directory: string): Promise<Login> {
  const file = join(directory, 'login.json');
  if (existsSync(file)) return JSON.parse(await readFile(file, 'utf8')) as Login;
  const login = { port: await freePort(), password: randomBytes(18).toString('base64url') };
  await saveLogin(directory, login);
  return login;
}

export async function saveLogin(directory: string, login: Login): Promise<void> {
  const file = join(directory, 'login.json');
  await writeFile(`${file}.new`, `${JSON.stringify(login)}\n`, { mode: 0o600 });
  await rename(`${file}.new`, file);
}

export function freePort(): Promise<number> {
  return new Promise((done, fail) => {
    const probe = createServer();
    probe.once('error', fail);
    probe.listen(0, '127.0.0.1', () => {
      const { port } = probe.address() as { port: number };
      probe.close(() => done(port));
    });
  });
}
