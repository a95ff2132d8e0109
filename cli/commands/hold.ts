import type { Context } from '../../core/context.ts';
import { findFileManifest } from '../../core/files/manifest.ts';
import { formatMoment } from '../../core/moment.ts';
import { holdBackup, holdsInStore, releaseBackup } from '../../core/snapshot/legalHold.ts';
import { readManifest } from '../../core/snapshot/manifest.ts';
import { handle, type Register } from '../command.ts';
import { contextOf } from '../runtime.ts';

export const holdCommand: Register = (program) => {
  const group = program
    .command('hold')
    .summary('legal holds: backups that no retention removes')
    .description('Keeps backups, and all that they need, whatever retention says, until they are released.');

  const set = group
    .command('set <backup>')
    .description('puts a backup under legal hold')
    .requiredOption('--reason <text>', 'the case, for those who read it later');
  handle<{ reason: string }>(set, async (options, id) => {
    const context = await contextOf(options, 'store');
    const backup = await known(context, id!);
    await holdBackup(context.store, backup, options.reason, formatMoment(context.clock.now()));
    return { json: { backup, held: true }, text: `${backup} is under legal hold, with all that it needs.` };
  });

  const release = group.command('release <backup>').description('lifts the hold; retention decides again');
  handle(release, async (options, id) => {
    const context = await contextOf(options, 'store');
    const backup = await known(context, id!);
    await releaseBackup(context.store, backup);
    return { json: { backup, held: false }, text: `${backup} is no longer under legal hold.` };
  });

  const list = group.command('list').description('what is held');
  handle(list, async (options) => {
    const held = [...(await holdsInStore((await contextOf(options, 'store')).store))].sort();
    return { json: { backups: held }, text: held.length ? held.join('\n') : 'Nothing is under legal hold.' };
  });
};

/** A backup of the database, or a run of a file backup, whose manifest holds. */
async function known(context: Context, id: string): Promise<string> {
  const files = await findFileManifest(context, id);
  return (files ?? (await readManifest(context, id))).id;
}
