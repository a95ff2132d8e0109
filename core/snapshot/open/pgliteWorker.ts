/** The thread that PGlite runs in: bytes of the wire protocol in, bytes out, one after the other. */
import { mkdir, readFile, rename, writeFile } from 'node:fs/promises';
import { dirname } from 'node:path';
import { fileURLToPath } from 'node:url';
import { parentPort, threadId, workerData } from 'node:worker_threads';
import { zstdCompressSync, zstdDecompressSync } from 'node:zlib';
import { PGlite } from '@electric-sql/pglite';

const port = parentPort!;
const { contrib } = workerData as { contrib: readonly string[] };
const extensions: Record<string, never> = {};
for (const name of contrib) {
  const module = (await import(`@electric-sql/pglite/contrib/${name}`)) as Record<string, never>;
  extensions[name] = module[name]!;
}
const db = await start();
port.on('message', async (bytes: Uint8Array) => {
  try {
    port.postMessage(await db.execProtocolRaw(bytes));
  } catch (error) {
    port.postMessage(String((error as Error).message ?? error)); // text, not bytes: the engine itself has failed
  }
});
port.postMessage('ready');

/**
 * Making an empty cluster takes eight times as long as unpacking one, so it is kept, with the package and not where others
 * could leave one for us. Whatever is wrong with the copy, a new cluster is as good.
 */
async function start(): Promise<PGlite> {
  const about = new URL('../package.json', import.meta.resolve('@electric-sql/pglite'));
  const { version } = JSON.parse(await readFile(about, 'utf8')) as { version: string };
  const kept = fileURLToPath(
    new URL(`../../../node_modules/.cache/holdfast/pglite-${version}.tar.zst`, import.meta.url),
  );
  try {
    const tar = zstdDecompressSync(await readFile(kept));
    return await PGlite.create({ extensions, loadDataDir: new Blob([tar]) });
  } catch {
    const made = await PGlite.create({ extensions });
    await keep(made, kept).catch(() => {}); // a package folder that cannot be written: the next start is slow as well
    return made;
  }
}

async function keep(made: PGlite, file: string): Promise<void> {
  const tar = await (await made.dumpDataDir('none')).arrayBuffer();
  const own = `${file}.${process.pid}-${threadId}`;
  await mkdir(dirname(file), { recursive: true });
  await writeFile(own, zstdCompressSync(new Uint8Array(tar)), { mode: 0o600 });
  await rename(own, file);
}
