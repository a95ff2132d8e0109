import { parseRecord } from '../history/record.ts';
import type { Text } from '../history/types.ts';
import type { TargetTable } from './target.ts';

/** Key values of a record id, in the order of the table's key. */
export const keyOf = (target: TargetTable, record: string): readonly Text[] =>
  parseRecord(record, target.bound.key.length);
