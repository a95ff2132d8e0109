import { fork } from 'node:child_process';
import type { RestoreFigures, RestoreJob } from './restoreWorker.ts';

/** Makes a restore in a child process. */
export function runRestore(job: RestoreJob): Promise<RestoreFigures> {
  const child = fork(new URL('restoreWorker.ts', import.meta.url), { stdio: ['ignore', 'inherit', 'inherit', 'ipc'] });
  return new Promise((resolve, reject) => {
    let figures: RestoreFigures | undefined;
    child.on('message', (message) => {
      figures = message as RestoreFigures;
    });
    child.on('error', reject);
    child.on('exit', (code) => {
      if (figures) resolve(figures);
      else reject(new Error(`the restore ended with ${code}`));
    });
    child.send(job);
  });
}
