/** Reading YAML with every complaint at its line and column. */
import { isMap, isScalar, isSeq, LineCounter, type Node, type Pair, parseDocument, type YAMLMap } from 'yaml';
import { ConfigError } from '../errors.ts';
import { didYouMean } from './suggest.ts';

export interface Entry {
  readonly key: string;
  /** Of the key: where complaints about the entry as a whole point to. */
  readonly node: Node;
  readonly value: Node | null;
}

/** Walks one document. `fail` never returns: it throws HF_MAP_INVALID with `file:line:column`. */
export interface Reader {
  readonly root: Node | null;
  fail(node: Node | null, expected: string, got?: string): never;
  entries(node: Node | null, expected: string): Entry[];
  /** The same, refusing keys that are not in `known`. */
  fields(node: Node | null, expected: string, known: readonly string[]): Map<string, Entry>;
  text(node: Node | null, expected: string): string;
  /** Members of a list; nothing written is an empty list. */
  items(node: Node | null, expected: string): Node[];
  texts(node: Node | null, expected: string): { text: string; node: Node }[];
}

/** @throws ConfigError HF_MAP_INVALID when the text is not YAML */
export function readYaml(input: string, source: string): Reader {
  const lines = new LineCounter();
  const document = parseDocument(input, { lineCounter: lines, prettyErrors: false, uniqueKeys: true });
  const complain = (offset: number | undefined, message: string, details: Record<string, unknown>): never => {
    const { line, col } = lines.linePos(offset ?? 0);
    throw new ConfigError('HF_MAP_INVALID', `${source}:${line}:${col}: ${message}`, {
      action: `Correct line ${line} of ${source}.`,
      details: { source, line, column: col, ...details },
    });
  };
  const problem = document.errors[0];
  if (problem) complain(problem.pos[0], `not valid YAML: ${problem.message}`, {});

  const fail = (node: Node | null, expected: string, got = describe(node)): never =>
    complain(node?.range?.[0], `expected ${expected}, got ${got}`, { expected, got });

  const entries = (node: Node | null, expected: string): Entry[] => {
    if (!isMap(node)) return fail(node, expected);
    return (node as YAMLMap).items.map((pair: Pair) => {
      const key = pair.key as Node;
      if (!isScalar(key)) return fail(key, 'a plain name');
      return { key: String(key.value), node: key, value: pair.value as Node | null };
    });
  };
  const text = (node: Node | null, expected: string): string =>
    isScalar(node) && ['string', 'number', 'boolean'].includes(typeof node.value)
      ? // A column may be called `on` or `null`-like `1`; what was written is what is meant.
        typeof node.value === 'string'
        ? node.value
        : (node.source ?? String(node.value))
      : fail(node, expected);
  const items = (node: Node | null, expected: string): Node[] => {
    if (node === null || (isScalar(node) && node.value === null)) return [];
    return isSeq(node) ? (node.items as Node[]) : fail(node, expected);
  };
  return {
    root: document.contents as Node | null,
    fail,
    entries,
    fields(node, expected, known) {
      const found = entries(node, expected);
      for (const { key, node: at } of found) {
        if (!known.includes(key)) fail(at, `one of ${known.join(', ')}`, `"${key}".${didYouMean(key, known)}`);
      }
      return new Map(found.map((entry) => [entry.key, entry]));
    },
    text,
    items,
    texts: (node, expected) => items(node, expected).map((item) => ({ text: text(item, 'a name'), node: item })),
  };
}

function describe(node: Node | null): string {
  if (node === null || (isScalar(node) && node.value === null)) return 'nothing';
  if (isMap(node)) return 'a mapping';
  if (isSeq(node)) return 'a list';
  return isScalar(node) ? JSON.stringify(node.value) : 'something else';
}
