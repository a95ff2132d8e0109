/** Writes a new data map into an existing holdfast.yaml and leaves every other section as it stands. */
import { formatMap } from './format.ts';
import { parseMap } from './parse.ts';
import type { DataMap } from './types.ts';

/** Sections that are the map's own; everything else at the top level belongs to someone else. */
const OWN = new Set(['version', 'tenant', 'person', 'tables', 'exclude']);
const SECTION = /^(?:"([^"]*)"|'([^']*)'|([^\s#'"-][^:]*?))\s*:(?:\s|$)/;

/**
 * The text of holdfast.yaml with its map replaced. Other top-level sections follow, word for word, with the comments that
 * stand directly above them. Comments inside the old map are lost.
 * @throws ConfigError HF_MAP_INVALID when `text` is not a data map: what cannot be read is not overwritten
 */
export function rewriteMap(text: string, map: DataMap): string {
  parseMap(text);
  const others = otherSections(text);
  return others === '' ? formatMap(map) : `${formatMap(map)}\n${others}`;
}

function otherSections(text: string): string {
  const kept: string[] = [];
  let above: string[] = []; // comments and blank lines that may belong to the section that follows
  let keeping = false;
  for (const line of text.split('\n')) {
    const section = SECTION.exec(line);
    if (section) {
      keeping = !OWN.has(section[1] ?? section[2] ?? section[3]!);
      if (keeping) kept.push(...above, line);
      above = [];
    } else if (line.startsWith('#') || line.trim() === '') {
      above = line.trim() === '' ? [] : [...above, line];
      if (keeping && line.trim() === '') kept.push(line);
    } else {
      if (keeping) kept.push(...above, line);
      above = [];
    }
  }
  const whole = kept.join('\n').trim();
  return whole === '' ? '' : `${whole}\n`;
}
