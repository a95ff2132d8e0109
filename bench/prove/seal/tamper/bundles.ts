/** Ways to tamper with a bundle on its way to the auditor. */
import { readFile, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import type { FaultKind } from '../../../../core/history/seal/types.ts';
import type { Random } from '../../suite.ts';

export interface BundleTampering {
  readonly name: string;
  readonly kinds: readonly FaultKind[];
  apply(folder: string, random: Random): Promise<void>;
}

const onLines = (
  name: string,
  kinds: FaultKind[],
  file: string,
  change: (lines: string[], random: Random) => string[],
): BundleTampering => ({
  name,
  kinds,
  async apply(folder, random) {
    const path = join(folder, file);
    const lines = (await readFile(path, 'utf8')).split('\n').slice(0, -1);
    await writeFile(
      path,
      change(lines, random)
        .map((line) => `${line}\n`)
        .join(''),
    );
  },
});

const onBytes = (name: string, kinds: FaultKind[], file: string): BundleTampering => ({
  name,
  kinds,
  async apply(folder, random) {
    const path = join(folder, file);
    const bytes = await readFile(path);
    bytes[random.int(bytes.length)]! ^= 1 << random.int(8);
    await writeFile(path, bytes);
  },
});

const without = (lines: string[], at: number) => lines.filter((_, i) => i !== at);
/** The fields of a line of rows.tsv after the context: seq first, changes last. */
const inRow = (line: string, field: number, change: (value: string) => string) =>
  line
    .split('\t')
    .map((value, i) => (i === field + 5 ? change(value) : value))
    .join('\t');

export const bundleTamperings: readonly BundleTampering[] = [
  onLines('bundle: remove a row', ['removed'], 'rows.tsv', (lines, random) => without(lines, random.int(lines.length))),
  onLines('bundle: repeat a row', ['inserted'], 'rows.tsv', (lines, random) => [...lines, random.pick(lines)]),
  onLines('bundle: insert a row', ['inserted'], 'rows.tsv', (lines, random) => [
    ...lines,
    inRow(random.pick(lines), 0, () => '777777777'),
  ]),
  onLines('bundle: edit who', ['edited'], 'rows.tsv', (lines, random) => {
    const at = random.int(lines.length);
    return lines.map((line, i) => (i === at ? inRow(line, 11, () => 'mallory') : line));
  }),
  onLines('bundle: edit a value', ['edited', 'redaction'], 'rows.tsv', (lines, random) => {
    const at = random.int(lines.length);
    return lines.map((line, i) => (i === at ? inRow(line, 14, (value) => value.replace(/.$/, ' }')) : line));
  }),
  onLines('bundle: edit a context', ['edited'], 'rows.tsv', (lines, random) => {
    const at = random.int(lines.length);
    return lines.map((line, i) => (i === at ? line.replace(/^[^\t]*/, 'mallory') : line));
  }),
  onLines('bundle: swap the order of two rows', ['reordered', 'edited'], 'rows.tsv', (lines, random) => {
    const a = random.int(lines.length - 1);
    const seq = (i: number) => lines[i]!.split('\t')[5]!;
    const [one, two] = [seq(a), seq(a + 1)];
    return lines.map((line, i) =>
      i === a ? inRow(line, 0, () => two) : i === a + 1 ? inRow(line, 0, () => one) : line,
    );
  }),
  onLines('bundle: cut the newest segment off', ['truncated'], 'segments.jsonl', (lines) => lines.slice(0, -1)),
  onLines('bundle: remove a segment', ['removed'], 'segments.jsonl', (lines) => lines.slice(1)),
  onLines('bundle: edit a segment', ['chain', 'truncated'], 'segments.jsonl', (lines, random) => {
    const at = random.int(lines.length);
    return lines.map((line, i) => (i === at ? line.replace(/"sealedAt":"\d/, '"sealedAt":"9') : line));
  }),
  onLines('bundle: edit an entry', ['signature'], 'entries.jsonl', (lines) =>
    lines.map((l) => l.replace('"reason":"', '"reason":"x')),
  ),
  onLines('bundle: remove an entry', ['redaction'], 'entries.jsonl', () => []),
  onLines('bundle: edit the list of scrubbed rows', ['redaction'], 'redactions.tsv', (lines) => [
    inRow(lines[0]!, -3, (v) => v.replace(/^./, (c) => (c === '0' ? '1' : '0'))),
    ...lines.slice(1),
  ]),
  onLines('bundle: edit the newest seal', ['signature'], 'bundle.json', (lines) =>
    lines.map((l) => l.replace(/"heads":"./, (m) => `${m.slice(0, -1)}${m.endsWith('0') ? '1' : '0'}`)),
  ),
  onBytes('bundle: flip a bit of the leaves', ['edited'], 'leaves.bin'),
];
