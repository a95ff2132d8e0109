/** A verifier of bundles written from docs/sealing.md alone; it shares no code with Holdfast. Throws at the first fault. */
import { createHash, createPublicKey, verify } from 'node:crypto';
import { readFileSync } from 'node:fs';
import { join } from 'node:path';

type Json = null | boolean | number | string | Json[] | { [key: string]: Json };
// biome-ignore lint/suspicious/noExplicitAny: parsed documents; their shape is what is being checked
type Doc = { [key: string]: any };

const sha = (...parts: (string | Buffer)[]): string => {
  const hash = createHash('sha256');
  for (const part of parts) hash.update(part);
  return hash.digest('hex');
};

function canonical(value: Json): string {
  if (Array.isArray(value)) return `[${value.map(canonical).join(',')}]`;
  if (value === null || typeof value !== 'object') return JSON.stringify(value);
  const keys = Object.keys(value).sort();
  return `{${keys.map((key) => `${JSON.stringify(key)}:${canonical(value[key]!)}`).join(',')}}`;
}

function must(condition: boolean, what: string): void {
  if (!condition) throw new Error(what);
}

export async function verifyIndependently(
  folder: string,
  publicKeys: string,
): Promise<{ rows: number; segments: number }> {
  const text = (name: string) => readFileSync(join(folder, name), 'utf8');
  const lines = (name: string) => text(name).split('\n').slice(0, -1);
  const bundle: Doc = JSON.parse(text('bundle.json'));

  const signed = (entry: Doc) => {
    const pem = publicKeys.split(/^key: /m).find((block) => block.startsWith(`${entry.signature.keyId}\n`))!;
    const { signature, ...rest } = entry;
    const key = createPublicKey(pem.slice(pem.indexOf('-----')));
    must(
      verify(null, Buffer.from(canonical(rest)), key, Buffer.from(signature.value, 'base64')),
      `signature ${entry.number}`,
    );
    return entry;
  };
  const head = signed(bundle.entry);
  const notes = lines('entries.jsonl').map((line) => signed(JSON.parse(line)));

  // The chain, and its place under the signed root.
  const headers = lines('segments.jsonl');
  let previous = '0'.repeat(64);
  headers.forEach((line, i) => {
    const header: Doc = JSON.parse(line);
    must(canonical(header) === line && header.number === i + 1 && header.previous === previous, `segment ${i + 1}`);
    must(header.tenant === bundle.tenant && header.chain === bundle.chain, `tenant of segment ${i + 1}`);
    previous = sha('holdfast-segment-1\n', line);
  });
  let node = sha(Buffer.from('00', 'hex'), Buffer.from(previous, 'hex'));
  (bundle.path as (string | null)[]).forEach((partner, depth) => {
    if (partner === null) return;
    const right = ((bundle.chain - 1) >> depth) & 1;
    const pair = right ? [partner, node] : [node, partner];
    node = sha(Buffer.from('01', 'hex'), Buffer.from(pair.join(''), 'hex'));
  });
  must(node === head.heads, 'root of heads');

  // What was scrubbed.
  const scrubbed = new Map<string, { sealed: string; salt: string; rest: string }>();
  const byEntry = new Map<string, string[][]>();
  for (const line of lines('redactions.tsv')) {
    const fields = line.split('\t');
    byEntry.set(fields[1]!, [...(byEntry.get(fields[1]!) ?? []), fields]);
  }
  for (const [number, rows] of byEntry) {
    const list = notes
      .find((n) => n.number === Number(number) && n.kind === 'redaction')!
      .lists.find((l: Doc) => l.chain === bundle.chain);
    const body = rows.map(([seq, , sealed, , rest]) => `${seq}\t${sealed}\t${rest}\n`).join('');
    must(list.rows === rows.length && list.sha256 === sha('holdfast-redaction-1\n', body), `redactions of ${number}`);
    for (const [seq, , sealed, salt, rest] of rows) scrubbed.set(seq!, { sealed: sealed!, salt: salt!, rest: rest! });
  }

  // The leaves.
  const leaves = new Map<string, { leaf: string; salt: string; open: Set<string> }>();
  const [leafBytes, saltBytes] = [readFileSync(join(folder, 'leaves.bin')), readFileSync(join(folder, 'salts.bin'))];
  let at = 0;
  for (const line of headers) {
    const header: Doc = JSON.parse(line);
    must(
      sha('holdfast-leaves-1\n', leafBytes.subarray(at * 40, (at + header.count) * 40)) === header.root,
      `leaves of ${header.number}`,
    );
    must(sha(bundle.rules[header.rules]) === header.rules, 'rules');
    for (let i = at; i < at + header.count; i++) {
      leaves.set(leafBytes.readBigUInt64BE(i * 40).toString(), {
        leaf: leafBytes.toString('hex', i * 40 + 8, i * 40 + 40),
        salt: saltBytes.toString('hex', i * 16, i * 16 + 16),
        open: JSON.parse(bundle.rules[header.rules]),
      });
    }
    at += header.count;
  }

  // The rows.
  let rows = 0;
  for (const line of lines('rows.tsv')) {
    const fields = line.split('\t');
    must(fields.length === 20, 'fields');
    const [context, open, committed] = [fields.slice(0, 5), fields.slice(5, 14), fields.slice(14, 19)];
    const known = leaves.get(open[0]!);
    must(known !== undefined, `row ${open[0]} was not sealed`);
    leaves.delete(open[0]!);
    const columns: string[] = (known!.open as unknown as Doc)[open[4]!] ?? [];
    const [shown, hidden] = parts(fields[19]!, columns);
    const commit = (salt: string) =>
      sha('holdfast-commitment-1\n', [salt, ...committed, ...context, hidden].join('\t'));
    const redaction = scrubbed.get(open[0]!);
    if (redaction) must(commit(redaction.salt) === redaction.rest, `rest of ${open[0]}`);
    const commitment = redaction ? redaction.sealed : commit(known!.salt);
    must(sha('holdfast-leaf-1\n', [...open, shown, commitment].join('\t')) === known!.leaf, `row ${open[0]}`);
    rows += 1;
  }
  const pruned = (seq: string) =>
    notes.some((n) => n.kind === 'prune' && BigInt(seq) <= BigInt(n.through) && !n.except.includes(seq));
  for (const seq of leaves.keys()) must(pruned(seq), `row ${seq} is gone`);
  return { rows, segments: headers.length };
}

/** The field `changes` as the open and the hidden part, each as jsonb prints an object. */
function parts(field: string, open: readonly string[]): [string, string] {
  if (field === '\\N') return ['\\N', '\\N'];
  const escapes: Record<string, string> = { b: '\b', f: '\f', n: '\n', r: '\r', t: '\t', v: '\v' };
  const json = field.replace(/\\(.)/g, (_, c: string) => escapes[c] ?? c);
  if (open.length === 0) return ['{}', json];
  const print = (value: Json): string => {
    if (Array.isArray(value)) return `[${value.map(print).join(', ')}]`;
    if (value === null || typeof value !== 'object') return JSON.stringify(value);
    return `{${Object.entries(value)
      .map(([key, v]) => `${JSON.stringify(key)}: ${print(v)}`)
      .join(', ')}}`;
  };
  const entries = Object.entries(JSON.parse(json) as Record<string, Json>);
  const pick = (wanted: boolean) => print(Object.fromEntries(entries.filter(([key]) => open.includes(key) === wanted)));
  must(print(Object.fromEntries(entries)) === json, 'changes is not as jsonb prints it');
  return [pick(true), pick(false)];
}
