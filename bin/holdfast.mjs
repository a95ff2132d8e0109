#!/usr/bin/env node
// The sources are TypeScript that Node runs as they are, from 24 on. Where the machine's own Node is older, the one that npm
// installed with Holdfast (package `node`) takes over.
import { spawn } from 'node:child_process';
import { existsSync } from 'node:fs';
import module from 'node:module';
import { constants } from 'node:os';
import { fileURLToPath } from 'node:url';

const bundled = fileURLToPath(new URL('../node_modules/node/bin/node', import.meta.url));

if (Number(process.versions.node.split('.')[0]) >= 24) {
  // Starting takes a third of the time. Not in the system's temporary folder, where others could leave code for us to run.
  module.enableCompileCache(fileURLToPath(new URL('../node_modules/.cache/holdfast', import.meta.url)));
  await import('../cli/main.ts');
} else if (existsSync(bundled)) {
  const child = spawn(bundled, [fileURLToPath(import.meta.url), ...process.argv.slice(2)], { stdio: 'inherit' });
  // This process stays until the other has tidied up; signals sent to it alone are passed on.
  for (const signal of ['SIGINT', 'SIGTERM', 'SIGHUP']) process.on(signal, () => child.kill(signal));
  child.on('exit', (code, signal) => {
    process.exitCode = code ?? 128 + constants.signals[signal];
  });
} else {
  console.error('Holdfast needs Node 24 or later, or its own copy: run "npm install" in the folder of Holdfast.');
  process.exitCode = 1;
}
