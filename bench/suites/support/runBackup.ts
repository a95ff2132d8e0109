import { fork } from 'node:child_process';
import type { BackupFigures, BackupJob } from './backupWorker.ts';

/** Makes a backup in a child process. */
export function runBackup(job: BackupJob): Promise<BackupFigures> {
  const child = fork(new URL('backupWorker.ts', import.meta.url), { stdio: ['ignore', 'inherit', 'inherit', 'ipc'] });
  return new Promise((resolve, reject) => {
    let figures: BackupFigures | undefined;
    child.on('message', (message) => {
      figures = message as BackupFigures;
    });
    child.on('error', reject);
    child.on('exit', (code) => {
      if (figures) resolve(figures);
      else reject(new Error(`the backup ended with ${code}`));
    });
    child.send(job);
  });
}
