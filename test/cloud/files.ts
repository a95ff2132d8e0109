/** Users' files: a bucket of them, the workflow over it, and a file of a moment that is past, out of the store again. */
import assert from 'node:assert/strict';
import { readFile } from 'node:fs/promises';
import { join } from 'node:path';
import { CreateBucketCommand, PutObjectCommand, S3Client } from '@aws-sdk/client-s3';
import { DirectoryFiles } from '../../adapters/local/directoryFiles.ts';
import { readSettings } from '../../core/datamap/load.ts';
import { restoreFiles } from '../../core/files/restore.ts';
import { parseMoment } from '../../core/moment.ts';
import { connect } from '../../core/sql.ts';
import { contextIn } from './context.ts';
import { ended, start } from './executions.ts';
import { UPLOADS as Bucket } from './map.ts';
import { type CloudWorld, PRIMARY } from './world.ts';

export async function filesAreKept(world: CloudWorld): Promise<void> {
  const s3 = new S3Client({ region: PRIMARY, forcePathStyle: true });
  await s3.send(new CreateBucketCommand({ Bucket, CreateBucketConfiguration: { LocationConstraint: PRIMARY } }));
  const put = (path: string, Body: string) => s3.send(new PutObjectCommand({ Bucket, Key: `voice/${path}`, Body }));
  const notes = await notesOf(world);
  const [first, missing, ...others] = notes;
  for (const { path } of [first!, ...others]) await put(path, `sound of ${path}`);
  const { answer } = await ended(await start('files', { itemFiles: 50 }));
  assert.deepEqual(
    [answer.files, answer.gone, answer.attention, answer.replication],
    [notes.length - 1, 1, 1, 'complete'],
  );
  await put(first!.path, 'spoken anew');
  await put(missing!.path, 'found again');
  const { answer: second } = await ended(await start('files', {}));
  assert.deepEqual([second.files, second.read, second.attention], [notes.length, 2, 0]);
  const then = parseMoment(answer.finishedAt as string);
  assert.equal(await restored(world, first!, then), `sound of ${first!.path}`);
  assert.equal(await restored(world, first!), 'spoken anew');
}

interface Note {
  readonly path: string;
  readonly tenant: string;
}

async function notesOf({ databaseUrl }: CloudWorld): Promise<Note[]> {
  const client = await connect(databaseUrl);
  try {
    const { rows } = await client.query<Note>(
      `select n.storage_key as path, e.organization_id::text as tenant
         from public.voice_notes n join public.journal_entries e on e.id = n.entry_id order by 1`,
    );
    return rows;
  } finally {
    await client.end();
  }
}

/** One file, from the bucket of backups and the keys alone. */
async function restored(world: CloudWorld, { path, tenant }: Note, moment?: bigint): Promise<string> {
  const { databaseUrl: _, ...ctx } = contextIn(world, PRIMARY);
  const folder = join(world.directory, `files-${moment ?? 'now'}`);
  const [set] = (await readSettings(world.settings.map!)).files;
  const { failed } = await restoreFiles(ctx, [{ set: set!, target: DirectoryFiles.open(folder) }], {
    ...{ tenant, paths: [path] },
    ...(moment === undefined ? {} : { moment }),
  });
  assert.deepEqual(failed, []);
  return readFile(join(folder, path), 'utf8');
}
