import { expect, test } from '@jest/globals';
import fc from 'fast-check';
import { RowArena } from '../../core/snapshot/arena.ts';
import { type RowLayout, RowSplitter } from '../../core/snapshot/split.ts';

// The oracle splits strings; it shares nothing with the splitter but the meaning of a layout.
interface Row {
  readonly tenant: string | null;
  readonly person: string | null;
  readonly open: readonly (string | null)[];
  readonly sealed: readonly (string | null)[];
}

const escaped = (value: string | null): string =>
  value === null
    ? '\\N'
    : value.replace(
        /[\\\t\n\r\b\f\v]/g,
        (c) => `\\${{ '\\': '\\', '\t': 't', '\n': 'n', '\r': 'r', '\b': 'b', '\f': 'f', '\v': 'v' }[c]}`,
      );
const text = fc.string({ unit: 'grapheme', maxLength: 12 });
const special = fc.constantFrom('', '\\', '\t', '\n', '\\N', 'ä', 'a\tb', '12', '123', '\\\\t');
const value = fc.oneof(text, special);
const owner = fc.option(fc.oneof(fc.constantFrom('1', '12', '123', 'a\tb', '\\N', 'é'), text), { nil: null });

const cases = fc
  .record({
    tenantFirst: fc.boolean(),
    hasTenant: fc.boolean(),
    hasPerson: fc.boolean(),
    helpers: fc.integer({ min: 0, max: 2 }),
    open: fc.integer({ min: 0, max: 4 }),
    sealed: fc.integer({ min: 1, max: 3 }),
    ordered: fc.boolean(),
  })
  .chain((shape) =>
    fc.record({
      shape: fc.constant(shape),
      rows: fc.array(
        fc.record({
          tenant: owner,
          person: owner,
          open: fc.array(fc.option(value, { nil: null }), { minLength: shape.open, maxLength: shape.open }),
          sealed: fc.array(fc.option(value, { nil: null }), { minLength: shape.sealed, maxLength: shape.sealed }),
        }),
        { maxLength: 150 },
      ),
    }),
  );

test('rows come apart by tenant and person, and nothing is lost or moved', () => {
  fc.assert(
    fc.property(cases, ({ shape, rows }) => {
      const prefix = [...(shape.hasTenant ? ['tenant'] : []), ...(shape.hasPerson ? ['person'] : [])] as (
        | 'tenant'
        | 'person'
      )[];
      if (!shape.tenantFirst) prefix.reverse();
      const helpers = Math.min(shape.helpers, prefix.length);
      const stored = (row: Row) => [...prefix.slice(helpers).map((name) => row[name]), ...row.open];
      const layout: RowLayout = {
        tenantField: prefix.indexOf('tenant'),
        personField: prefix.indexOf('person'),
        helpers,
        open: prefix.length - helpers + shape.open + 1,
        sealed: shape.hasPerson ? shape.sealed : 0,
        ordered: shape.ordered,
      };
      const lines = rows.map((row, i) => {
        const fields = [
          ...prefix.slice(0, helpers).map((name) => row[name]),
          ...stored(row),
          `#${i}`,
          ...(shape.hasPerson ? row.sealed : []),
        ];
        return `${fields.map(escaped).join('\t')}\n`;
      });

      const arena = new RowArena(64);
      const splitter = new RowSplitter(layout, arena);
      for (const line of lines) {
        const start = arena.end;
        arena.append(Buffer.from(line));
        splitter.row(start, arena.end);
      }
      const found = splitter.finish();
      const piece = ([at, length]: readonly [number, number]) =>
        Buffer.from(arena.bytes.slice(at, at + length)).toString();
      const split = (block: string) => (block === '' ? [] : block.slice(0, -1).split('\n'));

      const expected = new Map<string | null, { row: Row; open: string; sealed: string; whole: string }[]>();
      rows.forEach((row, i) => {
        const tenant = shape.hasTenant ? row.tenant : null;
        const open = [...stored(row), `#${i}`].map(escaped).join('\t');
        const sealed = row.sealed.map(escaped).join('\t');
        expected.set(tenant, [
          ...(expected.get(tenant) ?? []),
          { row, open, sealed, whole: shape.hasPerson ? `${open}\t${sealed}` : open },
        ]);
      });
      expect(found.map((t) => t.tenant)).toEqual([...expected.keys()]);
      for (const tenant of found) {
        const wanted = expected.get(tenant.tenant)!;
        const open = split(piece(tenant.open));
        const parts = tenant.parts.map((part) => split(piece(part)));
        const order: string[] = [];
        const got: string[] = [];
        let at = 0;
        for (const [person, count] of tenant.runs) {
          for (let i = 0; i < count; i++, at++) {
            const whole = person < 0 ? open[at]! : `${open[at]}\t${parts[person]!.shift()}`;
            got.push(whole);
            order.push(open[at]!);
            const source = wanted.find((w) => w.whole === whole)!;
            expect(source).toBeDefined();
            if (shape.hasPerson) expect(person < 0 ? null : tenant.persons[person]).toBe(source.row.person);
          }
        }
        expect(tenant.rows).toBe(wanted.length);
        expect(got.length).toBe(wanted.length);
        expect(parts.every((part) => part.length === 0)).toBe(true);
        expect([...got].sort()).toEqual(wanted.map((w) => w.whole).sort());
        if (shape.ordered) expect(got).toEqual(wanted.map((w) => w.whole));
      }
    }),
    { numRuns: 400 },
  );
});
