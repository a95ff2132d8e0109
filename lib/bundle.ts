/** A function's module and all that it imports, as the few files that Lambda loads. */
import { existsSync, readFileSync, writeFileSync } from 'node:fs';
import { basename, dirname, join, resolve } from 'node:path';
import { type BuildOptions, buildSync } from 'esbuild';
import { SynthError } from './synthError.ts';

const ROOT = resolve(import.meta.dirname, '..');
/** How this project starts a thread; the other file becomes a bundle of its own, beside the first. */
const WORKER = /new URL\(['"](\.\/\w+)\.ts['"],\s*import\.meta\.url\)/g;

const OPTIONS = {
  bundle: true,
  platform: 'node',
  format: 'esm',
  target: 'node24',
  minify: true,
  keepNames: true, // errors are matched by their class
  sourcemap: 'linked',
  sourcesContent: false,
  outExtension: { '.js': '.mjs' },
  absWorkingDir: ROOT,
  outdir: join(ROOT, 'out'), // nothing is written there; paths in source maps are relative to it, the same on every machine
  write: false,
  metafile: true,
  // pg looks for it, and does without.
  external: ['pg-native'],
  // Some CommonJS packages ask for `require` at run time.
  banner: { js: "import { createRequire } from 'node:module'; const require = createRequire(import.meta.url);" },
  define: { 'process.env.HOLDFAST_BUNDLED': '"1"' },
  logLevel: 'error',
} as const satisfies BuildOptions;

/**
 * Writes the bundle of a module into a folder: `index.mjs`, which exports `handler`, the threads it starts, and source maps. The same
 * sources give the same bytes on every machine.
 *
 * @param entry path from the top of the project
 * @returns bytes, source maps left out
 * @throws SynthError when there is no such module
 */
export function bundle(entry: string, folder: string): number {
  if (!existsSync(join(ROOT, entry))) {
    throw new SynthError('entry', 'the path of a module, from the top of the project', entry);
  }
  let size = 0;
  for (const [name, text] of build(entry, 'index')) {
    writeFileSync(join(folder, name), text);
    if (!name.endsWith('.map')) size += Buffer.byteLength(text);
  }
  return size;
}

/** Texts by file name: `<name>.mjs`, its map, and the same for each thread that it can start. */
function build(entry: string, name: string): Map<string, string> {
  const { outputFiles, metafile } = buildSync({ ...OPTIONS, entryPoints: { [name]: entry } });
  const files = new Map(outputFiles.map((file) => [basename(file.path), file.text]));
  const workers = new Set<string>();
  for (const input of Object.keys(metafile.inputs)) {
    if (input.startsWith('node_modules/')) continue;
    for (const [, worker] of readFileSync(join(ROOT, input), 'utf8').matchAll(WORKER)) {
      workers.add(join(dirname(input), `${worker}.ts`));
    }
  }
  for (const worker of workers) {
    const workerName = basename(worker, '.ts');
    for (const [file, text] of build(worker, workerName)) files.set(file, text);
    const main = `${name}.mjs`;
    files.set(main, files.get(main)!.replaceAll(`"./${workerName}.ts"`, `"./${workerName}.mjs"`));
  }
  return files;
}
