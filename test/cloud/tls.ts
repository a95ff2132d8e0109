/** A certificate for the database, from an authority of its own. */
import { execFile } from 'node:child_process';
import { chmod, chown, copyFile, mkdir, stat } from 'node:fs/promises';
import { join } from 'node:path';
import { promisify } from 'node:util';
import type { EmbeddedServer } from '../../adapters/local/embedded.ts';
import { connect } from '../../core/sql.ts';

const run = promisify(execFile);

/**
 * The server shows a new certificate from now on, and takes connections of functions under TLS only.
 * @returns path of the authority's certificate, in `directory`
 */
export async function newCertificate(bin: string, server: EmbeddedServer, directory: string): Promise<string> {
  await mkdir(directory, { recursive: true });
  await run(join(bin, 'python3'), [join(import.meta.dirname, 'certificates.py'), directory]);
  const { uid, gid } = await stat(server.dataDirectory); // of the account that the server runs under
  for (const name of ['server.crt', 'server.key']) {
    const placed = join(server.dataDirectory, name);
    await copyFile(join(directory, name), placed);
    await chmod(placed, 0o600);
    await chown(placed, uid, gid);
  }
  const admin = await connect(server.url());
  try {
    await admin.query("alter system set ssl = 'on'");
    await admin.query('select pg_reload_conf()');
  } finally {
    await admin.end();
  }
  return join(directory, 'ca.pem');
}
