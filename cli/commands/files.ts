import { join, resolve } from 'node:path';
import { DirectoryFiles } from '../../adapters/local/directoryFiles.ts';
import { ConfigError } from '../../core/errors.ts';
import { backUpFiles } from '../../core/files/backup.ts';
import { checkFiles } from '../../core/files/check.ts';
import { cleanUpFiles } from '../../core/files/cleanup.ts';
import { listFileManifests, readFileManifest } from '../../core/files/manifest.ts';
import { type RestoreTarget, restoreFiles } from '../../core/files/restore.ts';
import { openStateReader, type SetState, stateAt } from '../../core/files/stateAt.ts';
import { parseMoment } from '../../core/moment.ts';
import { openStore } from '../../core/snapshot/store.ts';
import { handle, type Register } from '../command.ts';
import { backupReport, checkReport, cleanupReport, restoreReport } from '../fileReport.ts';
import { chooseSets, openFileSets } from '../fileSets.ts';
import { stopOnSignal } from '../interrupt.ts';
import { bytes, clip, count, dim, table, yellow } from '../output.ts';
import type { GlobalOptions, Report } from '../report.ts';
import { contextOf, databaseUrl, settingsOf } from '../runtime.ts';

export const filesCommand: Register = (program) => {
  const files = program
    .command('files')
    .summary("users' files: back up, list, check, restore")
    .description("Users' files in a bucket or a folder, with the rows that own them.");

  const backup = files
    .command('backup')
    .description('Backs up what has changed since the last run. Exit code 1 when a file is missing or unreadable.')
    .option('-t, --tenant <id>', "only this tenant's files; default: all")
    .option('--reread', 'read every file, also those that seem unchanged', false);
  handle<{ tenant?: string; reread: boolean }>(backup, async (options) => {
    stopOnSignal('What was read is kept; run it again, and it reads only what is left.');
    const context = await contextOf(options, 'database');
    const sets = await openFileSets((await settingsOf(options)).files);
    const { tenant, reread } = options;
    const about = { reread, ...(tenant === undefined ? {} : { tenant }) };
    return backupReport(await backUpFiles({ ...context, databaseUrl: databaseUrl(options) }, sets, about));
  });

  const list = files
    .command('list')
    .description('Without a tenant, the runs. With one, its files at a moment.')
    .option('-t, --tenant <id>', 'the tenant')
    .option('--target-time <time>', 'as of then; default: the newest run')
    .option('--set <name>', 'only these; default: every set of holdfast.yaml');
  handle<{ tenant?: string; targetTime?: string; set?: string }>(list, (options) =>
    options.tenant === undefined ? listRuns(options) : listFiles({ ...options, tenant: options.tenant }),
  );

  const check = files
    .command('check')
    .description('Whether everything that runs name is there and whole.')
    .option('-p, --run <id>', 'one run; default: the newest')
    .option('--all', 'every run', false)
    .option('--deep', 'read, open and compare every byte', false);
  handle<{ run?: string; all: boolean; deep: boolean }>(check, async ({ run, all, deep, ...options }) => {
    const context = await contextOf(options, 'store');
    return checkReport(await checkFiles(context, { all, deep, ...(run === undefined ? {} : { run }) }));
  });

  const restore = files
    .command('restore')
    .description('Brings back files as they were at a moment. Deletes nothing; replaces nothing without --force.')
    .requiredOption('-t, --tenant <id>', 'the tenant')
    .option('--target-time <time>', 'as of then; default: the newest run')
    .option('--set <name>', 'only these; default: every set of holdfast.yaml')
    .option('--path <path...>', 'only these files; a folder is written with a / at its end')
    .option('--to <directory>', 'into this directory, a folder for each set; default: to where they were')
    .option('--last-good', 'also the last content of files that were gone or unreadable then', false)
    .option('--force', 'replace files that hold another content; the old one is kept', false)
    .option('--skip-existing', 'leave files that hold another content', false)
    .option('--preview', 'only say what would be done', false);
  handle<RestoreOptions>(restore, restoreCommand);

  const cleanup = files
    .command('cleanup')
    .description('Removes runs that the retention of holdfast.yaml gives up, and contents that no kept run names.')
    .option('--preview', 'only say what would go', false);
  handle<{ preview: boolean }>(cleanup, async ({ preview, ...options }) => {
    const context = await contextOf(options, 'database');
    const { daily, weekly, monthly } = (await settingsOf(options)).retention;
    const policy = { rules: [{ daily, weekly, monthly }], everyMomentForDays: daily };
    return cleanupReport(await cleanUpFiles({ ...context, databaseUrl: databaseUrl(options) }, policy, { preview }));
  });
};

interface RestoreOptions {
  readonly tenant: string;
  readonly targetTime?: string;
  readonly set?: string;
  readonly path?: readonly string[];
  readonly to?: string;
  readonly lastGood: boolean;
  readonly force: boolean;
  readonly skipExisting: boolean;
  readonly preview: boolean;
}

async function restoreCommand(options: RestoreOptions & GlobalOptions): Promise<Report> {
  const { tenant, targetTime, path, to, lastGood, force, skipExisting, preview } = options;
  if (force && skipExisting) {
    throw new ConfigError('HF_ARGUMENT_INVALID', '--force and --skip-existing cannot both be given.', {
      action: 'Give --force to replace what is there, --skip-existing to leave it.',
    });
  }
  stopOnSignal('Each file was written whole or not at all; run it again, and it goes on.');
  const context = await contextOf(options, to === undefined ? 'database' : 'store');
  const chosen = chooseSets((await settingsOf(options)).files, options.set);
  const targets: RestoreTarget[] =
    to === undefined
      ? (await openFileSets(chosen)).map((set) => ({ set, target: set.source, inPlace: set }))
      : chosen.map((set) => ({ set, target: DirectoryFiles.open(join(resolve(to), set.name)) }));
  const report = await restoreFiles(context, targets, {
    tenant,
    ...(targetTime === undefined ? {} : { moment: parseMoment(targetTime) }),
    ...(path === undefined ? {} : { paths: path }),
    ...{ lastGood, preview, existing: force ? 'replace' : skipExisting ? 'skip' : 'refuse' },
  });
  return restoreReport(report, force);
}

async function listRuns(options: GlobalOptions): Promise<Report> {
  const context = await contextOf(options, 'store');
  const { id } = await openStore(context);
  const runs = [];
  for (const { name } of (await listFileManifests(context.store)).reverse()) {
    const { signature: _, tenants, ...run } = await readFileManifest(context, name, id);
    runs.push({ ...run, tenants: Object.keys(tenants).length });
  }
  const rows = runs.map(({ id, tenant, finishedAt, totals }) => [
    ...[id, tenant ?? '(all)', finishedAt.replace(/\.\d+Z$/, 'Z'), totals.files, bytes(totals.bytes)],
    ...[totals.read, bytes(totals.storedBytes), totals.gone, totals.unread],
  ]);
  const head = ['run', 'tenant', 'ended', 'files', 'size', 'read', 'stored', 'missing', 'unread'];
  return {
    json: { runs },
    text: rows.length > 0 ? table(head, rows) : 'No file backup yet. Make one with holdfast files backup.',
  };
}

async function listFiles(
  options: GlobalOptions & { tenant: string; targetTime?: string; set?: string },
): Promise<Report> {
  const moment = options.targetTime === undefined ? undefined : parseMoment(options.targetTime);
  const reader = await openStateReader(await contextOf(options, 'store'));
  const states: SetState[] = [];
  for (const { name } of chooseSets((await settingsOf(options)).files, options.set)) {
    states.push(await stateAt(reader, options.tenant, name, moment));
  }
  const files = states.flatMap((state) => [
    ...state.files.map((file) => ({ ...file, state: 'present' })),
    ...state.lastGood.map((file) => ({ ...file, state: 'last good' })),
  ]);
  const described = files.map(({ set, path, size, from, certain, state }) => {
    const { run, entry } = from as Extract<typeof from, { entry: unknown }>;
    return { set, path, size, state, certain, run, sha256: entry.sha256, since: entry.since };
  });
  const erased = states.reduce((sum, state) => sum + state.erased, 0);
  const rows = described.map((f) => [f.set, clip(f.path, 80), f.size, f.since.replace(/\.\d+Z$/, 'Z'), f.state, f.run]);
  return {
    json: { tenant: options.tenant, files: described, erased },
    text: [
      rows.length > 0 ? table(['set', 'file', 'bytes', 'since', '', 'run'], rows) : yellow('No files then.'),
      ...(erased > 0 ? [dim(`${count(erased, 'file')} of erased persons cannot be read by anyone`)] : []),
    ].join('\n'),
  };
}
