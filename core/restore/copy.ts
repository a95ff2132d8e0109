/** COPY text format on the way in. */
import { pipeline } from 'node:stream/promises';
import { from as copyFrom } from 'pg-copy-streams';
import type { Text } from '../history/types.ts';
import type { Client } from '../sql.ts';

const SPECIAL = /[\\\t\n\r]/;
const ESCAPES: Readonly<Record<string, string>> = { '\\': '\\\\', '\t': '\\t', '\n': '\\n', '\r': '\\r' };

/** One value as a COPY field. */
export function copyField(value: Text): string {
  if (value === null) return '\\N';
  return SPECIAL.test(value) ? value.replace(/[\\\t\n\r]/g, (c) => ESCAPES[c]!) : value;
}

/** One row as a COPY line. */
export const copyLine = (values: readonly Text[]): string => `${values.map(copyField).join('\t')}\n`;

/** Runs `copy … from stdin` with these bytes. The connection is busy until it resolves. */
export async function copyIn(
  client: Client,
  sql: string,
  data: AsyncIterable<Uint8Array | string> | Iterable<Uint8Array | string>,
): Promise<number> {
  const sink = client.query(copyFrom(sql));
  await pipeline(data, sink);
  return sink.rowCount;
}
