/** What the stacks are told to protect. */
import { readFile, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { ROOT } from './emulator.ts';

/** The bucket of users' files. */
export const UPLOADS = 'users-uploads';

/** The sample's map with a set of files. @returns its path */
export async function mapWithFiles(directory: string): Promise<string> {
  const path = join(directory, 'holdfast.yaml');
  const files = `files:\n  notes: {from: s3://${UPLOADS}/voice, table: public.voice_notes, column: storage_key}\n`;
  await writeFile(path, (await readFile(join(ROOT, 'sample/holdfast.yaml'), 'utf8')) + files);
  return path;
}
