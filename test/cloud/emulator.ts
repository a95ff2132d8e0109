/** MiniStack, an emulator of AWS, in a virtual environment of its own. */
import { type ChildProcess, execFile, spawn } from 'node:child_process';
import { closeSync, existsSync, openSync } from 'node:fs';
import { mkdir } from 'node:fs/promises';
import { createServer } from 'node:net';
import { delimiter, join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { promisify } from 'node:util';

const run = promisify(execFile);
export const ROOT = join(import.meta.dirname, '../..');
/** Kept between runs: making it takes a minute. */
const VENV = join(ROOT, 'node_modules/.cache/holdfast/cloud-venv');
/** cryptography: without it the emulator has no asymmetric keys. cfn-lint checks the templates. */
const PACKAGES = ['ministack==1.5.33', 'cryptography==46.*', 'cfn-lint==1.*'];
const START_SECONDS = 60;

export const ACCOUNT = '000000000000';

export interface Emulator {
  readonly endpoint: string;
  /** For the AWS SDK and the CDK: the emulator takes the access key for the account. */
  readonly environment: Readonly<Record<string, string>>;
  stop(): Promise<void>;
}

/** @returns the folder of its programs */
export async function virtualEnvironment(): Promise<string> {
  const bin = join(VENV, 'bin');
  if (!existsSync(join(bin, 'ministack')) || !existsSync(join(bin, 'cfn-lint'))) {
    await run('python3', ['-m', 'venv', VENV]);
    await run(join(bin, 'pip'), ['install', '--quiet', '--disable-pip-version-check', ...PACKAGES]);
  }
  return bin;
}

/** Starts the emulator with nothing in it. Its functions run on the Node of this project, not on the system's. */
export async function startEmulator(bin: string, directory: string): Promise<Emulator> {
  const port = String(await freePort());
  const endpoint = `http://127.0.0.1:${port}`;
  await mkdir(directory, { recursive: true });
  const log = openSync(join(directory, 'emulator.log'), 'w');
  const path = [join(ROOT, 'node_modules/.bin'), process.env.PATH].join(delimiter);
  const child = spawn(join(bin, 'ministack'), {
    stdio: ['ignore', log, log],
    env: {
      ...process.env,
      PATH: path,
      GATEWAY_PORT: port,
      BIND_HOST: '127.0.0.1',
      MINISTACK_HOST: '127.0.0.1',
      STATE_DIR: join(directory, 'state'),
      S3_DATA_DIR: join(directory, 's3'),
      LAMBDA_EXECUTOR: 'local',
      // Waits and intervals of retries are divided by it.
      SFN_WAIT_SCALE: '0.05',
    },
  });
  closeSync(log);
  // However this process ends; a signal that nothing listens to ends it without that event.
  process.once('exit', () => child.kill('SIGKILL'));
  for (const signal of ['SIGINT', 'SIGTERM'] as const) process.once(signal, () => process.exit(1));
  await healthy(child, endpoint);
  return {
    endpoint,
    environment: {
      PATH: path,
      AWS_ENDPOINT_URL: endpoint,
      AWS_ENDPOINT_URL_S3: endpoint,
      AWS_S3_FORCE_PATH_STYLE: '1',
      AWS_ACCESS_KEY_ID: ACCOUNT,
      AWS_SECRET_ACCESS_KEY: 'emulated',
      // cdklocal takes all others away.
      AWS_ENVAR_ALLOWLIST: 'AWS_ACCESS_KEY_ID,AWS_SECRET_ACCESS_KEY',
      AWS_REGION: 'eu-central-1',
      AWS_DEFAULT_REGION: 'eu-central-1',
    },
    async stop() {
      const ended = new Promise((done) => child.once('exit', done));
      child.kill('SIGTERM');
      const timer = setTimeout(() => child.kill('SIGKILL'), 5000);
      await ended;
      clearTimeout(timer);
    },
  };
}

async function healthy(child: ChildProcess, endpoint: string): Promise<void> {
  for (let i = 0; i < START_SECONDS * 4; i++) {
    if (child.exitCode !== null) throw new Error(`The emulator ended with ${child.exitCode}; see emulator.log.`);
    const answer = await fetch(`${endpoint}/_ministack/health`).catch(() => undefined);
    if (answer?.ok) return;
    await sleep(250);
  }
  child.kill('SIGKILL');
  throw new Error(`The emulator did not answer within ${START_SECONDS} seconds; see emulator.log.`);
}

function freePort(): Promise<number> {
  return new Promise((done, fail) => {
    const server = createServer().once('error', fail);
    server.listen(0, '127.0.0.1', () => {
      const { port } = server.address() as { port: number };
      server.close(() => done(port));
    });
  });
}
