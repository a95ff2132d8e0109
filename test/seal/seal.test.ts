/** Sealing, verification and bundles on a real database; the random search is in bench/prove/seal.ts. */
import { mkdir, readdir, readFile, rename, rm, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, test } from '@jest/globals';
import { KeyFile } from '../../adapters/local/keyFile.ts';
import { cutOff } from '../../bench/prove/seal/tamper/cutOff.ts';
import { copyWorld, emptyWorld, fillWorld, type World, work } from '../../bench/prove/seal/world.ts';
import { Random } from '../../bench/prove/suite.ts';
import { prune } from '../../core/history/prune.ts';
import { exportBundle } from '../../core/history/seal/bundle.ts';
import { publicKeyFile, trustFile } from '../../core/history/seal/publicKeys.ts';
import { redactTrail } from '../../core/history/seal/redact.ts';
import { resumeSeals } from '../../core/history/seal/resume.ts';
import { seal } from '../../core/history/seal/seal.ts';
import { verify } from '../../core/history/seal/verify.ts';
import { verifyBundle } from '../../core/history/seal/verifyBundle.ts';
import { parseSnapshot } from '../../core/history/snapshots.ts';
import { momentFromDate } from '../../core/moment.ts';
import { connect } from '../../core/sql.ts';
import { temporaryDirectory } from '../support/temporary.ts';
import { verifyIndependently } from './independentVerifier.ts';

let base: World;

beforeAll(async () => {
  base = await emptyWorld();
  await fillWorld(base, new Random(3), 3, 6);
  await base.client.end();
}, 60_000);
afterAll(() => base?.close());

async function inCopy(run: (world: World) => Promise<void>): Promise<void> {
  const world = await copyWorld(base);
  try {
    await run(world);
  } finally {
    await world.close();
  }
}

const seqs = async (world: World, condition: string): Promise<bigint[]> => {
  const { rows } = await world.client.query(`select seq::text from holdfast.trail where ${condition} order by seq`);
  return rows.map(({ seq }) => BigInt(seq));
};

test('sealing again seals nothing, and every row is sealed once', () =>
  inCopy(async (world) => {
    const before = await world.verify();
    expect(before).toMatchObject({ ok: true, entries: 3, chains: 5, anchored: 3, notes: [] });
    expect(await seal(world.ctx)).toMatchObject({ rows: 0, segments: 0, anchored: 0, head: before.head });
    const { rows } = await world.client.query('select count(*)::int as n from holdfast.trail');
    expect(before.rows).toBe(rows[0].n);
  }));

test('a sealed trail is not pruned without a signed note', () =>
  inCopy(async (world) => {
    const options = { before: momentFromDate(new Date('2100-01-01')), archivedTo: parseSnapshot('1000000:1000000:') };
    await expect(prune(world.client, options)).rejects.toMatchObject({ code: 'HF_PRUNE_UNSIGNED' });
    await expect(prune(world.client, { ...options, preview: true })).rejects.toMatchObject({
      code: 'HF_PRUNE_UNSIGNED',
    });
    expect(await world.verify()).toMatchObject({ ok: true, pruned: 0 });
  }));

test('a transaction that commits late is sealed with the batch after, not lost and not an alarm', () =>
  inCopy(async (world) => {
    const late = await connect(world.ctx.databaseUrl);
    await late.query("begin; insert into app.rates values ('late', 1)");
    await world.client.query("insert into app.rates values ('early', 1)");
    expect(await seal(world.ctx)).toMatchObject({ rows: 1 });
    await late.query('commit');
    await late.end();
    expect(await world.verify()).toMatchObject({ ok: true });
    expect(await seal(world.ctx)).toMatchObject({ rows: 1 });
    expect(await world.verify()).toMatchObject({ ok: true });
  }));

test('a run that was killed before its anchor is made good; two at once do no harm', () =>
  inCopy(async (world) => {
    const { store, ...storeless } = world.ctx;
    await world.client.query("insert into app.rates values ('x', 1)");
    await seal(storeless);
    expect(await world.verify()).toMatchObject({
      ok: true,
      anchored: 3,
      notes: [expect.stringContaining('Seals from 4')],
    });
    await world.client.query("insert into app.rates values ('y', 1)");
    const reports = await Promise.all([seal(world.ctx), seal(world.ctx), seal(world.ctx)]);
    expect(reports.reduce((sum, { rows }) => sum + rows, 0)).toBe(1);
    expect(await world.verify()).toMatchObject({ ok: true, entries: 5, anchored: 5 });
  }));

describe('an attacker who rules the database', () => {
  test('cuts off the newest seals with their rows: the store remembers, and sealing stops', () =>
    inCopy(async (world) => {
      await cutOff(world, 3);
      const report = await world.verify();
      expect(report).toMatchObject({ ok: false, faults: [{ kind: 'truncated', entry: 3 }] });
      await expect(seal(world.ctx)).rejects.toMatchObject({ code: 'HF_SEAL_BROKEN' });
      // Without the store nothing tells, and the report says so; a head that was noted down does tell.
      const blind = await world.verify({ store: false });
      expect(blind).toMatchObject({ ok: true, notes: [expect.stringContaining('would not be missed')] });
      const head = (await base.verify()).head!;
      expect(await world.verify({ store: false, head })).toMatchObject({ ok: false, faults: [{ kind: 'truncated' }] });
    }));

  test('hangs another tail in the place of the newest seals', () =>
    inCopy(async (world) => {
      await cutOff(world, 3);
      await world.client.query("insert into app.rates values ('forged', 1)");
      const { store, ...storeless } = world.ctx;
      await seal(storeless); // as the holder of the key could
      expect(await world.verify()).toMatchObject({ ok: false, faults: [{ kind: 'tail-replaced', entry: 3 }] });
      const head = (await base.verify()).head!;
      expect(await world.verify({ store: false, head })).toMatchObject({
        faults: [{ kind: 'tail-replaced', entry: 3 }],
      });
    }));

  test('begins the log anew', () =>
    inCopy(async (world) => {
      await world.client.query(
        'truncate holdfast.seal_entries, holdfast.seal_segments, holdfast.seal_salts, holdfast.seal_chains',
      );
      expect(await world.verify()).toMatchObject({ ok: false, faults: [{ kind: 'truncated' }] });
      await expect(seal(world.ctx)).rejects.toMatchObject({ code: 'HF_SEAL_BROKEN' });
    }));

  test('changes the order of two changes: both are named with their places', () =>
    inCopy(async (world) => {
      const [a, b] = await seqs(world, "table_id = 2 and organization = 'acme'");
      await world.client.query('update holdfast.trail set seq = $1::bigint + $2::bigint - seq where seq in ($1, $2)', [
        a,
        b,
      ]);
      const { faults } = await world.verify();
      expect(faults).toMatchObject([
        { kind: 'reordered', tenant: 'acme', table: 'app.people' },
        { kind: 'reordered', tenant: 'acme', table: 'app.people' },
      ]);
      expect(faults.map(({ seq }) => BigInt(seq!)).sort()).toEqual([a, b].sort());
    }));

  test(
    'edits very many rows: all are counted, the first are named',
    () =>
      inCopy(async (world) => {
        await world.client.query(
          "insert into app.people select 100000 + i, 'acme', 'e', 'n', 0 from generate_series(1, 3000) i",
        );
        await seal(world.ctx);
        await world.client.query(
          "update holdfast.trail set user_id = 'm' where record::bigint > 100000 and table_id = 2",
        );
        expect(await world.verify()).toMatchObject({ ok: false, faultCount: 3000, faults: { length: 1000 } });
      }),
    60_000,
  );
});

describe('scrubbing', () => {
  test('takes values, salts and names away for good, and leaves the chain whole', () =>
    inCopy(async (world) => {
      const some = await seqs(world, "changes ->> 'email' is not null and organization = 'acme'");
      const report = await redactTrail(world.ctx, {
        rows: some.map((seq) => ({
          seq,
          columns: ['email', 'name'].slice(0, 1),
          parts: ['person', 'record'] as const,
        })),
        reason: 'case 1',
      });
      expect(report).toEqual({ rows: some.length, entry: 4 });
      const { rows } = await world.client.query(
        'select changes, person, record from holdfast.trail where seq = any($1)',
        [some],
      );
      for (const row of rows)
        expect(row).toMatchObject({ changes: { email: { redacted: true } }, person: null, record: null });
      expect(await world.verify()).toMatchObject({ ok: true, redacted: some.length });
      // Nothing is left that a guess could be tried against.
      const { rows: salts } = await world.client.query(
        "select count(*) filter (where position('\\x00000000000000000000000000000000'::bytea in salts) > 0)::int as erased from holdfast.seal_salts",
      );
      expect(salts[0].erased).toBeGreaterThan(0);
      await redactTrail(world.ctx, {
        rows: some.slice(0, 1).map((seq) => ({ seq, columns: ['name'] })),
        reason: 'case 2',
      });
      expect(await world.verify()).toMatchObject({ ok: true, redacted: some.length });
    }));

  test('an actor goes from every row, sealed or not', () =>
    inCopy(async (world) => {
      await world.client.query(
        "begin; select holdfast.set_actor('user-9', 'nine@example.org'); insert into app.rates values ('nine', 9); commit",
      );
      await seal(world.ctx);
      const { rows } = await world.client.query(
        "select distinct id::text from holdfast.actors where user_id = 'user-9'",
      );
      await redactTrail(world.ctx, { actors: rows.map(({ id }) => id), reason: 'case 3' });
      expect((await world.client.query("select from holdfast.actors where user_id = 'user-9'")).rows).toEqual([]);
      expect(await seqs(world, "user_id = 'user-9'")).toEqual([]);
      expect(await world.verify()).toMatchObject({ ok: true, redacted: 1 });
    }));

  test('what cannot be scrubbed changes nothing', () =>
    inCopy(async (world) => {
      const [seq] = await seqs(world, "changes ? 'visits' and changes ? 'email'");
      const scrub = (request: object) => redactTrail(world.ctx, { reason: 'x', ...request });
      await expect(scrub({ rows: [{ seq, columns: ['visits'] }] })).rejects.toMatchObject({ code: 'HF_REDACT_OPEN' });
      await expect(scrub({ rows: [{ seq, columns: ['nothing'] }] })).rejects.toMatchObject({
        code: 'HF_REDACT_UNKNOWN',
      });
      await expect(scrub({ rows: [{ seq, parts: ['seq'] }] })).rejects.toMatchObject({ code: 'HF_REDACT_UNKNOWN' });
      await expect(scrub({ rows: [{ seq: 999_999n }] })).rejects.toMatchObject({ code: 'HF_REDACT_UNKNOWN' });
      await expect(scrub({ actors: ["'; drop table x"] })).rejects.toMatchObject({ code: 'HF_REDACT_UNKNOWN' });
      await world.client.query("update holdfast.trail set user_id = 'mallory' where seq = $1", [seq]);
      await expect(scrub({ rows: [{ seq, columns: ['email'] }] })).rejects.toMatchObject({ code: 'HF_SEAL_MISMATCH' });
      expect(await world.verify()).toMatchObject({
        entries: 3,
        redacted: 0,
        faults: [{ kind: 'edited', seq: String(seq) }],
      });
    }));
});

test('after the server was set back, the loss is signed and sealing goes on', () =>
  inCopy(async (world) => {
    await expect(resumeSeals(world.ctx, 'why')).rejects.toMatchObject({ code: 'HF_SEAL_NOT_LOST' });
    await cutOff(world, 2);
    expect(await resumeSeals(world.ctx, 'restored last night')).toEqual({ lostFrom: 2, lostTo: 3 });
    await work(world.client, new Random(9));
    await seal(world.ctx);
    expect(await world.verify()).toMatchObject({
      ok: true,
      anchored: 3,
      notes: [expect.stringContaining('restored last night')],
    });
  }));

describe('a bundle', () => {
  test('is verified without the database, by Holdfast and by a verifier written from the document', () =>
    inCopy(async (world) => {
      const some = await seqs(world, "changes ->> 'name' is not null and organization = 'acme'");
      await redactTrail(world.ctx, {
        rows: some.slice(0, 3).map((seq) => ({ seq, columns: ['name'] })),
        reason: 'case',
      });
      const keys = await publicKeyFile(world.ctx.keys);
      for (const tenant of ['acme', null]) {
        const folder = join(world.directory, `bundle-${tenant}`);
        const written = await exportBundle(world.ctx.databaseUrl, tenant, folder);
        const report = await verifyBundle(folder, trustFile(keys));
        expect(report).toMatchObject({ ok: true, rows: written.rows, tenant });
        expect(await verifyIndependently(folder, keys)).toEqual({ rows: written.rows, segments: written.segments });
        await expect(exportBundle(world.ctx.databaseUrl, tenant, folder)).rejects.toMatchObject({
          code: 'HF_AUDIT_FOLDER',
        });
      }
      const folder = join(world.directory, 'bundle-acme');
      const rows = await readFile(join(folder, 'rows.tsv'), 'utf8');
      await writeFile(join(folder, 'rows.tsv'), rows.replace('\tacme\t', '\tacme2\t'));
      await expect(verifyIndependently(folder, keys)).rejects.toThrow();
      expect(await verifyBundle(folder, trustFile(keys))).toMatchObject({ ok: false, faults: [{ kind: 'edited' }] });
    }));

  test('of another key, of nobody, of nothing', () =>
    inCopy(async (world) => {
      const folder = join(world.directory, 'bundle');
      await exportBundle(world.ctx.databaseUrl, 'blue', folder);
      const other = await KeyFile.create(join(world.directory, 'other'));
      const report = await verifyBundle(folder, trustFile(await publicKeyFile(other)));
      expect(report.faults[0]).toMatchObject({ kind: 'key-unknown' });
      await expect(exportBundle(world.ctx.databaseUrl, 'nobody', join(folder, 'x'))).rejects.toMatchObject({
        code: 'HF_AUDIT_NO_CHAIN',
      });
      await expect(verifyBundle(join(folder, 'none'), other)).rejects.toMatchObject({ code: 'HF_AUDIT_BUNDLE' });
      expect(() => trustFile('no keys')).toThrow(expect.objectContaining({ code: 'HF_PUBLIC_KEY' }));
    }));
});

test('the store holds every seal, and is asked in vain when it was emptied', () =>
  inCopy(async (world) => {
    const [, ...rest] = (await readdir(join(world.directory, 'store', 'seals'))).sort();
    expect(rest).toEqual(['logs']);
    await rename(join(world.directory, 'store'), join(world.directory, 'gone'));
    await mkdir(join(world.directory, 'store'));
    expect(await world.verify()).toMatchObject({
      ok: true,
      anchored: 0,
      notes: [expect.stringContaining('from 1 on')],
    });
    await rm(join(world.directory, 'gone'), { recursive: true });
  }));

test('a database where nothing was sealed yet', async () => {
  const world = await emptyWorld();
  expect(await world.verify()).toMatchObject({ ok: true, head: null, notes: ['Nothing was sealed yet.'] });
  await world.close();
  expect(await temporaryDirectory()).toBeTruthy();
});

test('verification needs no right to sign', () =>
  inCopy(async (world) => {
    const trust = trustFile(await publicKeyFile(world.ctx.keys));
    expect(await verify({ databaseUrl: world.ctx.databaseUrl, trust })).toMatchObject({ ok: true });
  }));
