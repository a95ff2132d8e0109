import { rm } from 'node:fs/promises';
import type { EmbeddedServer } from '../../adapters/local/embedded.ts';

export default async function globalTeardown(): Promise<void> {
  const { holdfastTestServer, holdfastTestDirectory } = globalThis as unknown as {
    holdfastTestServer?: EmbeddedServer;
    holdfastTestDirectory?: string;
  };
  await holdfastTestServer?.stop();
  if (holdfastTestDirectory) await rm(holdfastTestDirectory, { recursive: true, force: true });
}
