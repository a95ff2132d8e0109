/** Rows of erased persons on their way out of a backup. Their sealed values went with the key; the rest of the row is left. */
import type { OpenSection } from '../snapshot/types.ts';

const NEWLINE = 10;

/** The COPY text of a section, with the rows of erased persons apart. */
export function splitErased(section: OpenSection): { kept: Buffer; erased: Buffer; erasedRows: number } {
  const none = Buffer.alloc(0);
  if (section.erased.length === 0) return { kept: section.data, erased: none, erasedRows: 0 };
  const kept: Buffer[] = [];
  const erased: Buffer[] = [];
  let row = 0;
  let at = 0;
  let from = 0;
  let erasedRows = 0;
  const offsetOf = (target: number): number => {
    for (; row < target; row++) at = section.data.indexOf(NEWLINE, at) + 1;
    return at;
  };
  for (const [first, count] of [...section.erased].sort((a, b) => a[0] - b[0])) {
    const start = offsetOf(first);
    kept.push(section.data.subarray(from, start));
    from = offsetOf(first + count);
    erased.push(section.data.subarray(start, from));
    erasedRows += count;
  }
  kept.push(section.data.subarray(from));
  return { kept: Buffer.concat(kept), erased: Buffer.concat(erased), erasedRows };
}

/** What of a section is to be loaded: an erased person's rows only where the data map says that the table anonymises. */
export function restorable(section: OpenSection, erase: 'delete' | 'anonymise'): { data: Buffer; dropped: number } {
  if (erase === 'anonymise') return { data: section.data, dropped: 0 };
  const { kept, erasedRows } = splitErased(section);
  return { data: kept, dropped: erasedRows };
}
