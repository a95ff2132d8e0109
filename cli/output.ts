/** What commands print: tables and sentences for a person, one JSON object for a program. */

type Stream = { readonly isTTY?: boolean };
const paint = (stream: Stream, code: number) => (text: string) =>
  stream.isTTY && !process.env.NO_COLOR ? `\u001b[${code}m${text}\u001b[0m` : text;
export const bold = paint(process.stdout, 1);
export const dim = paint(process.stdout, 2);
export const red = paint(process.stdout, 31);
export const green = paint(process.stdout, 32);
export const yellow = paint(process.stdout, 33);
export const stderrBold = paint(process.stderr, 1);
export const stderrDim = paint(process.stderr, 2);
export const stderrRed = paint(process.stderr, 31);
export const stderrYellow = paint(process.stderr, 33);

/** Columns padded to their widest cell; numbers to the right. Control characters of stored text are made visible. */
export function table(head: readonly string[], rows: readonly (readonly unknown[])[]): string {
  const cells = rows.map((row) =>
    row.map((cell) => (typeof cell === 'number' ? cell.toLocaleString('en') : printable(cell))),
  );
  const numeric = head.map(
    (_, i) => rows.length > 0 && rows.every((row) => typeof row[i] === 'number' || typeof row[i] === 'bigint'),
  );
  const width = head.map((title, i) => Math.max(title.length, ...cells.map((row) => row[i]!.length)));
  const line = (row: readonly string[]) =>
    row
      .map((cell, i) => (numeric[i] ? cell.padStart(width[i]!) : cell.padEnd(width[i]!)))
      .join('  ')
      .trimEnd();
  return [bold(line(head)), ...cells.map(line)].join('\n');
}

/** Text that cannot drive the terminal, whatever was stored in the database. */
export function printable(value: unknown): string {
  if (value === null || value === undefined) return '-';
  const text = typeof value === 'object' ? JSON.stringify(value) : String(value);
  // biome-ignore lint/suspicious/noControlCharactersInRegex: stored text must not drive the terminal
  return text.replace(/[\u0000-\u001f\u007f-\u009f]/g, (c) => `\\x${c.charCodeAt(0).toString(16).padStart(2, '0')}`);
}

/** At most `width` characters, on one line. */
export function clip(text: string, width: number): string {
  const characters = [...printable(text)];
  return characters.length <= width ? characters.join('') : `${characters.slice(0, width - 1).join('')}…`;
}

/** "1 backup", "2 backups". */
export const count = (n: number, one: string, many = `${one}s`): string =>
  `${n.toLocaleString('en')} ${n === 1 ? one : many}`;

/** 1536 -> "1.5 KiB". */
export function bytes(size: number): string {
  const units = ['B', 'KiB', 'MiB', 'GiB', 'TiB'];
  let value = size;
  let unit = 0;
  while (value >= 1024 && unit < units.length - 1) {
    value /= 1024;
    unit++;
  }
  return `${unit === 0 ? value : value.toFixed(1)} ${units[unit]}`;
}

/** 93.4 s -> "1 min 33 s". `digits` are those after the point, below a minute; 0 shows whole seconds only. */
export function duration(ms: number, digits = 1): string {
  if (ms < 1000 && digits > 0) return `${Math.round(ms)} ms`;
  if (ms < 60_000) return `${(ms / 1000).toFixed(digits)} s`;
  const seconds = Math.round(ms / 1000);
  if (seconds < 3600) return `${Math.floor(seconds / 60)} min ${seconds % 60} s`;
  return `${Math.floor(seconds / 3600)} h ${Math.floor((seconds % 3600) / 60)} min`;
}

/** JSON with bigints as numbers where exact, else as text. */
export function toJson(value: unknown): string {
  return JSON.stringify(value, (_, v: unknown) =>
    typeof v === 'bigint'
      ? v <= Number.MAX_SAFE_INTEGER
        ? Number(v)
        : v.toString()
      : v instanceof Map
        ? Object.fromEntries(v)
        : v,
  );
}
