/** Functions' modules and all that they import, as the few files that Lambda loads. */
import { cpSync, existsSync, readFileSync, writeFileSync } from 'node:fs';
import { basename, dirname, join, resolve } from 'node:path';
import { type BuildOptions, type BuildResult, buildSync } from 'esbuild';
import { SynthError } from './synthError.ts';

const ROOT = resolve(import.meta.dirname, '..');
/** How this project starts a thread; the other file is loaded from beside the first. */
const WORKER = /new URL\(['"]\.\/(\w+)\.ts['"],\s*import\.meta\.url\)/g;

const OPTIONS = {
  bundle: true,
  splitting: true, // parsed and minified once for all functions; what is imported late is read late
  platform: 'node',
  format: 'esm',
  target: 'node24',
  mainFields: ['module', 'main'], // of packages that come as both, the form from which unused parts can be left out
  minify: true,
  keepNames: true, // errors are matched by their class
  sourcemap: 'linked',
  sourcesContent: false,
  outExtension: { '.js': '.mjs' },
  chunkNames: '[name]-[hash]',
  absWorkingDir: ROOT,
  outdir: join(ROOT, 'out'), // nothing is written there; paths in source maps are relative to it, the same on every machine
  write: false,
  metafile: true,
  external: [
    'pg-native', // pg looks for it, and does without
    // Lambda gives credentials in the environment. These are for people's machines, and are never asked.
    ...['ini', 'login', 'process', 'sso', 'web-identity'].map((kind) => `@aws-sdk/credential-provider-${kind}`),
    '@smithy/credential-provider-imds',
  ],
  // Some CommonJS packages ask for `require` at run time.
  banner: { js: "import { createRequire } from 'node:module'; const require = createRequire(import.meta.url);" },
  define: { 'process.env.HOLDFAST_BUNDLED': '"1"' },
  logLevel: 'error',
} as const satisfies BuildOptions;

/** What esbuild made, by entry. */
const built = new Map<string, Built>();

/**
 * Builds several entries at once, which takes little longer than one. `writeBundle` then only writes.
 * @throws SynthError when there is no such module
 */
export function prepareBundles(entries: readonly string[]): void {
  const missing = entries.filter((entry) => !built.has(entry));
  if (missing.length === 0) return;
  for (const entry of missing) {
    if (!existsSync(join(ROOT, entry))) {
      throw new SynthError('entry', 'the path of a module, from the top of the project', entry);
    }
  }
  // `functions/backup/plan` and so on; workers are flat, as the code that starts them expects them beside itself.
  const entryPoints = Object.fromEntries(missing.map((entry) => [nameOf(entry), entry]));
  const first = buildSync({ ...OPTIONS, entryPoints });
  const workers = threadsIn(first);
  const result =
    workers.size === 0
      ? first
      : buildSync({ ...OPTIONS, entryPoints: { ...entryPoints, ...Object.fromEntries(workers) } });
  const text = new Map(result.outputFiles.map((file) => [basename(file.path), file.text]));
  for (const entry of missing) built.set(entry, { ...result, text, threads: [...workers.keys()] });
}

/**
 * Writes the bundle of a module into a folder: `index.mjs`, which exports `handler`, what it imports, the threads that it can start, and
 * source maps. The same sources give the same bytes on every machine.
 *
 * @param entry path from the top of the project
 * @param without modules that it imports late and will never come to need, from the top of the project. One that it needs at once stays
 * @returns bytes, source maps left out
 */
export function writeBundle(entry: string, folder: string, without: readonly string[] = []): number {
  prepareBundles([entry]);
  let size = 0;
  for (const [name, text] of filesOf(nameOf(entry), built.get(entry)!, new Set(without))) {
    writeFileSync(join(folder, name), text);
    if (!name.endsWith('.map')) size += Buffer.byteLength(text);
    // A restore test installs Holdfast in its scratch database: the migrations are read from beside the module.
    if (/['"`]\.\/sql\/['"`]/.test(text)) cpSync(join(ROOT, 'sql'), join(folder, 'sql'), { recursive: true });
  }
  return size;
}

type Result = BuildResult<typeof OPTIONS>;

interface Built extends Pick<Result, 'metafile'> {
  /** By name of file. */
  readonly text: ReadonlyMap<string, string>;
  readonly threads: readonly string[];
}

/** Modules that are started as threads, by the name of their file. */
function threadsIn({ metafile }: Result): Map<string, string> {
  const threads = new Map<string, string>();
  for (const input of Object.keys(metafile.inputs)) {
    if (input.includes('node_modules/')) continue;
    for (const [, name] of readFileSync(join(ROOT, input), 'utf8').matchAll(WORKER)) {
      threads.set(name!, join(dirname(input), `${name}.ts`));
    }
  }
  return threads;
}

/** What one entry reaches, but for what it is to do without; with its own file as `index.mjs`. */
function filesOf(name: string, { metafile, text, threads }: Built, without: ReadonlySet<string>): Map<string, string> {
  const files = new Map<string, string>();
  const outputs = new Map(Object.entries(metafile.outputs).map(([path, output]) => [basename(path), output]));
  const add = (file: string): void => {
    if (files.has(file)) return;
    const code = text.get(file)!.replace(WORKER, 'new URL("./$1.mjs",import.meta.url)');
    files.set(file, code);
    files.set(`${file}.map`, text.get(`${file}.map`)!);
    for (const { path, kind, external } of outputs.get(file)!.imports) {
      const spare = kind === 'dynamic-import' && without.has(outputs.get(basename(path))?.entryPoint ?? '');
      if (!external && !spare) add(basename(path));
    }
    for (const thread of threads) if (code.includes(`"./${thread}.mjs"`)) add(`${thread}.mjs`);
  };
  add(`${name}.mjs`);
  files.set('index.mjs', `import { handler as load } from './${name}.mjs';\nexport const handler = await load();\n`);
  return files;
}

const nameOf = (entry: string): string => entry.replace(/\.ts$/, '').replaceAll('/', '-');
