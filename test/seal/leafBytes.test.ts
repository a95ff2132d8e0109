/** Leaves made of bytes are those that the definition, which works on texts, makes; what is not plain is left to it. */
import { expect, test } from '@jest/globals';
import fc from 'fast-check';
import { commitment, FIELDS, leaf, parseLine, splitChanges } from '../../core/history/seal/leaf.ts';
import { LeafHasher } from '../../core/history/seal/leafBytes.ts';
import { LineBatch } from '../../core/history/seal/lineBytes.ts';
import { SeqIndex } from '../../core/history/seal/seqIndex.ts';

const word = fc.oneof(
  fc.constantFrom('', 'a', 'größe', 'null', '{}', ', ', ': ', '"', '\\', 'x'.repeat(300)),
  fc.string(),
);
const value = fc.oneof(word, fc.constant(null));
const changes = fc.oneof(
  fc.dictionary(fc.oneof(fc.constantFrom('open', 'título', 'secret'), word), fc.oneof(value, fc.tuple(value, value))),
  fc.constantFrom(
    '\\N',
    '{',
    '{"open": 1}',
    '{"open": "a",}',
    '{"open":"a"}',
    '{"open": {"redacted": true}}',
    '[]',
    '{"open": "a"} ',
  ),
);
/** As jsonb prints it, and COPY then writes it. */
const jsonb = (of: unknown): string =>
  typeof of === 'string'
    ? of
    : `{${Object.entries(of as object)
        .map(
          ([k, v]) =>
            `${JSON.stringify(k)}: ${Array.isArray(v) ? `[${v.map((x) => JSON.stringify(x)).join(', ')}]` : JSON.stringify(v)}`,
        )
        .join(', ')}}`.replaceAll('\\', '\\\\');
const field = fc.oneof(
  fc.constantFrom('\\N', 'x', 'ü', 'a\\tb'),
  fc.stringMatching(/^[ -~]{0,40}$/).map((s) => s.replaceAll('\\', '\\\\')),
);

test('the same leaf as by texts, or none', () => {
  const hasher = new LeafHasher();
  let made = 0;
  const row = fc.tuple(
    fc.bigInt(1n, 2n ** 40n),
    fc.array(field, { minLength: FIELDS - 2, maxLength: FIELDS - 2 }),
    changes,
  );
  const open = fc.constantFrom(undefined, [], ['open'], ['open', 'título', 'a']);
  fc.assert(
    fc.property(
      fc.array(row, { minLength: 1, maxLength: 5 }),
      fc.uint8Array({ minLength: 16, maxLength: 16 }),
      field,
      open,
      (rows, salt, context, names) => {
        const lines = rows.map(([seq, fields, c]) => [String(seq), ...fields, jsonb(c)].join('\t'));
        const batch = new LineBatch();
        batch.bytes = Buffer.from(lines.map((l) => `${l}\n`).join(''));
        let at = 0;
        for (const line of lines) {
          batch.add(at, at + Buffer.byteLength(line));
          at += Buffer.byteLength(line) + 1;
        }
        batch.scan();
        lines.forEach((text, i) => {
          const line = parseLine(text);
          expect([batch.text(i), batch.seq(i), batch.actor(i)]).toEqual([text, Number(line.seq), line.actor]);
          const split = splitChanges(line.changes, names && new Set(names));
          const expected = leaf(line, commitment(line, Buffer.from(salt).toString('hex'), context, split), split);
          const bytes = names?.map((n) => Buffer.from(n));
          const got = hasher.leafOf(batch, i, salt, 0, Buffer.from(context), bytes);
          if (got === undefined) return;
          made += 1;
          expect(Buffer.from(got, 'latin1').toString('hex')).toBe(expected);
        });
      },
    ),
    { numRuns: 1000, seed: 7 },
  );
  expect(made).toBeGreaterThan(500);
});

test('an index of many seqs finds each, and nothing else; the later of two counts', () => {
  const index = new SeqIndex();
  const seqs = Array.from({ length: 5000 }, (_, i) => (i % 3 === 0 ? i : i * 2 ** 33 + i));
  for (const seq of seqs) index.add(Math.floor(seq / 2 ** 32), seq % 2 ** 32);
  seqs.forEach((seq, i) => {
    expect(index.find(seq)).toBe(i);
  });
  expect([index.find(1), index.find(2 ** 32), index.find(Number.NaN)]).toEqual([-1, -1, -1]);
  index.add(0, 3);
  expect([index.find(3), index.size]).toEqual([5000, 5001]);
});
