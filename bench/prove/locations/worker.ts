/** The process that is killed: copies one store to another place, through a target that may strike. */
import { join } from 'node:path';
import { DirectoryStore } from '../../../adapters/local/directoryStore.ts';
import { KeyFile } from '../../../adapters/local/keyFile.ts';
import { replicate } from '../../../core/locations/replicate.ts';
import { type Trap, TrapStore } from '../crash/trapStore.ts';

export interface Job {
  /** Of the world: `store` and `key.json` lie in it. */
  readonly directory: string;
  readonly target: string;
  readonly trap: Trap;
}

process.once('message', async (job: Job) => {
  const keys = await KeyFile.open(join(job.directory, 'key.json'));
  const source = DirectoryStore.open(join(job.directory, 'store'));
  await replicate({ source, target: new TrapStore(DirectoryStore.open(job.target), job.trap), trust: keys, keys });
  process.disconnect();
});
