/** `files:` of holdfast.yaml: buckets and folders of files that rows of a table name. */
import type { FileSetSetting } from '../files/types.ts';
import type { Entry, Reader } from './nodes.ts';
import { parseTableName } from './notation.ts';

const FIELDS = ['from', 'table', 'column', 'strip'];

export function fileSettings(reader: Reader, at: Entry | undefined): FileSetSetting[] {
  if (!at) return [];
  return reader.entries(at.value, 'sets of files, each with from, table and column').map(({ key, node, value }) => {
    if (!/^[a-z][a-z0-9_-]{0,62}$/.test(key)) {
      reader.fail(node, 'a name of lower-case letters, digits, _ and -, such as recordings', `"${key}"`);
    }
    const fields = reader.fields(value, `where the files of ${key} are and which rows name them`, FIELDS);
    const text = (name: string, expected: string): string => {
      const found = reader.text(fields.get(name)?.value ?? value, expected);
      return found === '' ? reader.fail(fields.get(name)!.value, expected) : found;
    };
    const from = text('from', `"from:" for ${key}: a directory, or s3://bucket/prefix`);
    const table =
      parseTableName(text('table', `"table:" for ${key}: the table whose rows name the files`)) ??
      reader.fail(fields.get('table')!.value, 'a table name, like public.voice_notes');
    const column = text('column', `"column:" for ${key}: the column with the path of the file`);
    const strip = fields.has('strip') ? reader.text(fields.get('strip')!.value, 'a beginning of paths') : '';
    return { name: key, from, table, column, strip };
  });
}
