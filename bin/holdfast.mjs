#!/usr/bin/env node
// The sources are TypeScript that Node runs as they are, from 24 on. Where the machine's own Node is older, the one that npm
// installed with Holdfast (package `node`) takes over.
import { spawnSync } from 'node:child_process';
import { existsSync } from 'node:fs';
import { fileURLToPath } from 'node:url';

const main = fileURLToPath(new URL('../cli/main.ts', import.meta.url));
const bundled = fileURLToPath(new URL('../node_modules/node/bin/node', import.meta.url));

if (Number(process.versions.node.split('.')[0]) >= 24) {
  await import(main);
} else if (existsSync(bundled)) {
  const child = spawnSync(bundled, [main, ...process.argv.slice(2)], { stdio: 'inherit' });
  process.exitCode = child.status ?? 1;
} else {
  console.error('Holdfast needs Node 24 or later, or its own copy: run "npm install" in the folder of Holdfast.');
  process.exitCode = 1;
}
