import { chmod, mkdtemp } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { EmbeddedServer } from '../../adapters/local/embedded.ts';

/**
 * One real server for the whole run; each test makes its own database in it (support/database.ts). `HOLDFAST_TEST_BIN` names the
 * folder of another version's `postgres` and `initdb`.
 */
export default async function globalSetup(): Promise<void> {
  const directory = await mkdtemp(join(tmpdir(), 'holdfast-test-'));
  // Nothing here has to survive a crash of the machine, and fsync would only measure the disk.
  await chmod(directory, 0o711); // the server's own account passes through
  const binDirectory = process.env.HOLDFAST_TEST_BIN;
  const server = await EmbeddedServer.start({
    directory,
    settings: { fsync: 'off', max_connections: '200' },
    ...(binDirectory ? { binDirectory } : {}),
  });
  process.env.HOLDFAST_TEST_URL = server.url();
  Object.assign(globalThis, { holdfastTestServer: server, holdfastTestDirectory: directory });
}
