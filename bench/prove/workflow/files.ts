/** Users' files: a run before, what changed since, and every file of every tenant out of the store again. */
import { mkdir, rm, writeFile } from 'node:fs/promises';
import { dirname, join } from 'node:path';
import { DirectoryFiles } from '../../../adapters/local/directoryFiles.ts';
import { backUpFiles } from '../../../core/files/backup.ts';
import { checkFiles } from '../../../core/files/check.ts';
import { listFileManifests, readFileManifest } from '../../../core/files/manifest.ts';
import { restoreFiles } from '../../../core/files/restore.ts';
import { openStore } from '../../../core/snapshot/store.ts';
import type { Place, Scenario } from './cases.ts';
import { folderDigest } from './digest.ts';
import { same, succeeded } from './expect.ts';
import { uploadsIn } from './world.ts';

const EVERYTHING = /^$/;
/** Whatever has changed is told by size or time, and files here are changed within a second. */
const settled = { settleMs: 0 };

export const files: Scenario = {
  workflow: 'files',
  name: 'changed',
  async prepare(place) {
    const { ctx, client } = place;
    const paths = await notesOf(place);
    const uploads = uploadsIn(place.directory);
    const put = (path: string, words: string) => putNote(place, path, words);
    const [lost, changed] = paths;
    for (const path of paths) await put(path, `sound of ${path}`);
    const before = await folderDigest(uploads, EVERYTHING);
    const first = await backUpFiles(ctx, setsOf(place));
    await put(changed!, 'spoken anew');
    const after = await folderDigest(uploads, EVERYTHING);
    await rm(join(uploads, lost!));
    const { [lost!]: _, ...present } = after;
    return {
      input: { itemFiles: 4, concurrency: 3 },
      check: async (ended) => {
        succeeded(ended);
        const { id } = await openStore(ctx);
        const runs = await Promise.all(
          (await listFileManifests(ctx.store)).map(({ name }) => readFileManifest(ctx, name, id)),
        );
        same(runs[0]!.id, first.manifest.id, 'the run before');
        const { files, gone, unread } = runs[1]!.totals;
        same([runs.length, files, gone, unread], [2, paths.length, 1, 0], 'runs, and files of the last');
        same((await checkFiles(ctx, { all: true, deep: true })).faults, [], 'faults');
        same(await restored(place), present, 'files now');
        same(await restored(place, true), after, 'files now, with the last content of the lost one');
        same(await folderDigest(uploads, EVERYTHING), present, 'the files themselves');
        same(Object.keys(before).length, paths.length, 'files before');
        const { rows: lines } = await client.query(
          "select result from holdfast.tenant_backup_logs where step = 'files' and backup_id = $1 order by id",
          [runs[1]!.id],
        );
        same(
          lines.map(({ result }) => result),
          ['started', 'ok'],
          'lines in the log',
        );
      },
    };
  },
};

async function notesOf({ client }: Place): Promise<string[]> {
  const { rows } = await client.query<{ path: string }>(
    'select storage_key as path from public.voice_notes order by 1',
  );
  return rows.map(({ path }) => path);
}

async function putNote({ directory }: Place, path: string, words: string): Promise<void> {
  const file = join(uploadsIn(directory), path);
  await mkdir(dirname(file), { recursive: true });
  await writeFile(file, words);
}

const setsOf = ({ ctx, directory }: Place) =>
  ctx.settings.files.map((set) => ({ ...set, source: DirectoryFiles.open(uploadsIn(directory), settled) }));

/** A run into a store, of notes that all say something new. */
export async function backUpNotes(place: Place, ctx: Place['ctx'], words: string): Promise<void> {
  for (const path of await notesOf(place)) await putNote(place, path, `${words} of ${path}`);
  await backUpFiles(ctx, setsOf(place));
}

/** Every tenant's files, out of store and keys alone, in one folder. */
async function restored({ ctx, client, directory }: Place, lastGood = false): Promise<Record<string, string>> {
  const folder = join(directory, `restored-${lastGood}`);
  const { databaseUrl: _, ...alone } = ctx;
  const { rows } = await client.query<{ tenant: string }>('select id::text as tenant from public.organizations');
  for (const { tenant } of rows) {
    const targets = ctx.settings.files.map((set) => ({ set, target: DirectoryFiles.open(folder, settled) }));
    const { failed } = await restoreFiles(alone, targets, { tenant, lastGood });
    same(failed, [], 'files that could not be restored');
  }
  return folderDigest(folder, EVERYTHING);
}
