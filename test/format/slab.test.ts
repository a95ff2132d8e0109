import { randomBytes } from 'node:crypto';
import { expect, test } from '@jest/globals';
import fc from 'fast-check';
import { openSlab, sealSlab } from '../../core/snapshot/slab.ts';
import type { Section, SlabInput } from '../../core/snapshot/types.ts';

const key = randomBytes(32);
const place = { backup: 'b', tenant: 'acme', object: 'backups/b/chunk-00001.hf', ordinal: 3 };

interface Table {
  readonly open: number;
  readonly sealed: number;
  readonly runs: readonly { readonly person: number; readonly rows: readonly string[][] }[];
}

/** What the writer of rows does, said in the plainest way: the oracle keeps the rows. */
function build(tables: readonly Table[], persons: number): { input: SlabInput; whole: string[] } {
  const made = Array.from({ length: persons }, () => ({
    ref: randomBytes(16).toString('hex'),
    key: randomBytes(32),
    parts: tables.map(() => ''),
  }));
  const whole: string[] = [];
  const sections = tables.map((table, t): Section => {
    let open = '';
    whole[t] = '';
    for (const { person, rows } of table.runs) {
      for (const row of rows) {
        whole[t] += `${row.join('\t')}\n`;
        open += `${(person < 0 ? row : row.slice(0, table.open)).join('\t')}\n`;
        if (person >= 0) made[person]!.parts[t] += `${row.slice(table.open).join('\t')}\n`;
      }
    }
    const names = (prefix: string, count: number) => Array.from({ length: count }, (_, i) => prefix + i);
    return {
      table: `public.t${t}`,
      columns: names('open', table.open),
      sealed: names('sealed', table.sealed),
      rows: table.runs.reduce((sum, { rows }) => sum + rows.length, 0),
      runs: table.runs.map(({ person, rows }) => [person, rows.length]),
      open: Buffer.from(open),
    };
  });
  const sealing = made.map(({ parts, ...person }) => ({ ...person, parts: parts.map((text) => Buffer.from(text)) }));
  return { input: { ...place, snapshot: '1:2:', sections, persons: sealing }, whole };
}

const keysOf = (input: SlabInput, except?: number) =>
  new Map(input.persons.filter((_, i) => i !== except).map(({ ref, key }) => [ref, { ref, key }]));

const value = fc.oneof(
  fc.constantFrom('', '\\N', '\\\\', 'a\\tb\\nc', 'é日本', '0'),
  fc.string({ unit: 'grapheme', maxLength: 12 }).map((text) => text.replace(/[\t\n\\]/g, '_')),
  fc.constant('long '.repeat(900)),
);
const tableOf = (persons: number) =>
  fc.record({ open: fc.nat(3), sealed: fc.nat(3) }).chain(({ open, sealed }) =>
    fc.record({
      open: fc.constant(open),
      sealed: fc.constant(sealed),
      runs: fc.array(
        fc.record({
          person: sealed === 0 ? fc.constant(-1) : fc.integer({ min: -1, max: persons - 1 }),
          rows: fc.array(fc.array(value, { minLength: open + sealed, maxLength: open + sealed }), { maxLength: 5 }),
        }),
        { maxLength: 6 },
      ),
    }),
  );
const slab = fc
  .nat(4)
  .chain((persons) =>
    fc.record({ persons: fc.constant(persons), tables: fc.array(tableOf(persons), { maxLength: 3 }) }),
  );

test('rows come back as they went in, in the same order', async () => {
  await fc.assert(
    fc.asyncProperty(slab, async ({ persons, tables }) => {
      const { input, whole } = build(tables, persons);
      const bytes = await sealSlab(input, key);
      const opened = await openSlab(bytes, { backupKey: key, persons: keysOf(input), expect: place });
      expect(opened.snapshot).toBe('1:2:');
      expect(opened.sections.map(({ data }) => data.toString())).toEqual(whole);
      expect(opened.sections.map(({ rows }) => rows)).toEqual(input.sections.map(({ rows }) => rows));
      expect(opened.sections.every(({ erased }) => erased.length === 0)).toBe(true);
    }),
    { numRuns: 200 },
  );
});

test('without a key, exactly the sealed columns of that person are null, and the rows are named', async () => {
  await fc.assert(
    fc.asyncProperty(slab, fc.nat(3), async ({ persons, tables }, gone) => {
      fc.pre(gone < persons);
      const { input, whole } = build(tables, persons);
      const bytes = await sealSlab(input, key);
      const { sections } = await openSlab(bytes, { backupKey: key, persons: keysOf(input, gone), expect: place });
      for (const [t, table] of tables.entries()) {
        const rows = whole[t]!.split('\n').slice(0, -1);
        const named = new Set<number>();
        for (const [first, count, ref] of sections[t]!.erased) {
          expect(ref).toBe(input.persons[gone]!.ref);
          for (let i = 0; i < count; i++) named.add(first + i);
        }
        let row = 0;
        const expected = table.runs.flatMap(({ person, rows: own }) =>
          own.map((fields) => {
            const isGone = person === gone && table.sealed > 0;
            expect(named.has(row)).toBe(isGone);
            const line = isGone
              ? [...fields.slice(0, table.open), ...Array(table.sealed).fill('\\N')].join('\t')
              : rows[row];
            row++;
            return line;
          }),
        );
        expect(sections[t]!.data.toString()).toBe(expected.map((line) => `${line}\n`).join(''));
      }
    }),
    { numRuns: 200 },
  );
});

test('a slab of many frames', async () => {
  const line = `${randomBytes(60).toString('hex')}\n`;
  const open = Buffer.from(line.repeat(40_000));
  const section = { table: 'public.t', columns: ['a'], sealed: [], rows: 40_000, runs: [[-1, 40_000]] as const, open };
  const input = { ...place, snapshot: '1:1:', sections: [section], persons: [] };
  const bytes = await sealSlab(input, key);
  const { sections } = await openSlab(bytes, { backupKey: key, persons: new Map(), expect: place });
  expect(sections[0]!.data.equals(open)).toBe(true);
});

test('opens in its own place only, under its own key only', async () => {
  const { input } = build([{ open: 1, sealed: 1, runs: [{ person: 0, rows: [['a', 'b']] }] }], 1);
  const bytes = await sealSlab(input, key);
  const persons = keysOf(input);
  const refused = { code: 'HF_SLAB_CORRUPT', details: { offset: 0 } };
  for (const other of [{ backup: 'c' }, { tenant: 'other' }, { object: 'backups/b/chunk-00002.hf' }, { ordinal: 4 }]) {
    const expectOther = { ...place, ...other };
    await expect(openSlab(bytes, { backupKey: key, persons, expect: expectOther })).rejects.toMatchObject(refused);
  }
  const wrong = { backupKey: randomBytes(32), persons, expect: place };
  await expect(openSlab(bytes, wrong)).rejects.toMatchObject(refused);
  const ref = input.persons[0]!.ref;
  const stranger = { backupKey: key, persons: new Map([[ref, { ref, key: randomBytes(32) }]]), expect: place };
  await expect(openSlab(bytes, stranger)).rejects.toMatchObject({ code: 'HF_SLAB_CORRUPT' });
});

test('every single bit matters', async () => {
  const { input } = build([{ open: 1, sealed: 1, runs: [{ person: 0, rows: [['a', 'b']] }] }], 1);
  const bytes = await sealSlab(input, key);
  for (let bit = 0; bit < bytes.length * 8; bit++) {
    const damaged = Buffer.from(bytes);
    damaged[bit >> 3]! ^= 1 << (bit & 7);
    const opening = openSlab(damaged, { backupKey: key, persons: keysOf(input), expect: place });
    const error = (await opening.catch((e) => e)) as { code: string; details: { offset: number; length: number } };
    expect(error.code).toBe('HF_SLAB_CORRUPT');
    const { offset, length } = error.details;
    expect(bit >> 3 >= offset && bit >> 3 < offset + length).toBe(true);
  }
});

test('the same rows never seal to the same bytes, nor under the same slab key', async () => {
  const { input } = build([{ open: 1, sealed: 1, runs: [{ person: 0, rows: [['a', 'b']] }] }], 1);
  const [one, two] = [await sealSlab(input, key), await sealSlab(input, key)];
  expect(one.subarray(4, 20).equals(two.subarray(4, 20))).toBe(false);
  expect(one.length).toBe(two.length);
});

test('a writer that counts wrongly is found out', async () => {
  const { input } = build([{ open: 1, sealed: 1, runs: [{ person: 0, rows: [['a', 'b']] }] }], 1);
  const persons = keysOf(input);
  const wrong: Partial<Section>[] = [{ rows: 2 }, { runs: [[0, 2]], rows: 2 }, { open: Buffer.from('a\nb\n') }];
  for (const change of wrong) {
    const bytes = await sealSlab({ ...input, sections: [{ ...input.sections[0]!, ...change }] }, key);
    const opening = openSlab(bytes, { backupKey: key, persons, expect: place });
    await expect(opening).rejects.toMatchObject({ code: 'HF_SLAB_MALFORMED' });
  }
});
