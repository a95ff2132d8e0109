/**
 * Bundles every handler as the stacks do and prints how large each is. `node functions/bundle.ts`
 */
import { resolve } from 'node:path';
import { fileURLToPath, pathToFileURL } from 'node:url';
import { type BuildOptions, build } from 'esbuild';
import { WORKFLOWS } from './catalogue.ts';

const ROOT = fileURLToPath(new URL('../', import.meta.url));

/** What lib/constructs/handler.ts asks of esbuild, but for the folder. */
export const BUNDLING: BuildOptions = {
  bundle: true,
  format: 'esm',
  platform: 'node',
  target: 'node24',
  minify: true,
  mainFields: ['module', 'main'],
  banner: { js: "import { createRequire } from 'node:module'; const require = createRequire(import.meta.url);" },
  define: { 'process.env.HOLDFAST_BUNDLED': '"1"' },
  logLevel: 'error',
};

export interface Bundle {
  readonly entry: string;
  readonly bytes: number;
  /** Bytes of each package in it, largest first. */
  readonly packages: readonly (readonly [string, number])[];
}

/** Every entry of the catalogue, once. */
export const entries = (): string[] => [
  ...new Set(WORKFLOWS.flatMap(({ handlers }) => Object.values(handlers).map(({ entry }) => entry))),
];

/** All of them, at once. */
export async function bundles(): Promise<Bundle[]> {
  const { metafile } = await build({
    ...BUNDLING,
    absWorkingDir: ROOT,
    entryPoints: entries(),
    outdir: 'bundles',
    write: false,
    metafile: true,
  });
  return Object.values(metafile!.outputs).map(({ entryPoint, bytes, inputs }) => {
    const packages = new Map<string, number>();
    for (const [path, { bytesInOutput }] of Object.entries(inputs)) {
      const name = /.*node_modules\/((?:@[^/]+\/)?[^/]+)/.exec(path)?.[1] ?? 'holdfast';
      packages.set(name, (packages.get(name) ?? 0) + bytesInOutput);
    }
    return { entry: entryPoint!, bytes, packages: [...packages].sort((a, b) => b[1] - a[1]) };
  });
}

if (process.argv[1] && import.meta.url === pathToFileURL(resolve(process.argv[1])).href) {
  for (const { entry, bytes, packages } of await bundles()) {
    const most = packages.slice(0, 4).map(([name, size]) => `${name} ${Math.round(size / 1024)}`);
    process.stdout.write(`${String(Math.round(bytes / 1024)).padStart(6)} KiB  ${entry}  (${most.join(', ')})\n`);
  }
}
