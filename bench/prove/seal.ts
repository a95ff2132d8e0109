/** Tampering with a sealed trail, in every way and at random places: each is found and named; nothing else is. */
import { cp, mkdtemp, readFile, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { exportBundle } from '../../core/history/seal/bundle.ts';
import { publicKeyFile, trustFile } from '../../core/history/seal/publicKeys.ts';
import { redactTrail } from '../../core/history/seal/redact.ts';
import { seal } from '../../core/history/seal/seal.ts';
import type { Fault } from '../../core/history/seal/types.ts';
import { verifyBundle } from '../../core/history/seal/verifyBundle.ts';
import { quiet } from './seal/quiet.ts';
import { bundleTamperings } from './seal/tamper/bundles.ts';
import type { Expected } from './seal/tamper/tampering.ts';
import { tamperings } from './seal/tamper/tamperings.ts';
import { copyWorld, emptyWorld, fillWorld, type World, work } from './seal/world.ts';
import { type ProveFailure, type ProveOptions, type ProveResult, Random, type Suite } from './suite.ts';

/** One run without tampering for so many with. */
const KINDS = tamperings.length + bundleTamperings.length + quiet.length;

const suite: Suite = {
  name: 'seal',
  description:
    'every kind of tampering with a sealed trail is found and named; writers, pruning and erasure raise no alarm',
  quickCases: KINDS,
  run,
};
export default suite;

async function run({ cases, seed, serverUrl, log }: ProveOptions): Promise<ProveResult> {
  const failures: ProveFailure[] = [];
  const facts = { tampered: 0, found: 0, 'false alarms': 0, skipped: 0 };
  let base = await makeBase(serverUrl, new Random(seed));
  try {
    for (let number = 0; number < cases; number++) {
      const random = new Random(seed * 1_000_003 + number);
      if (number > 0 && number % (4 * KINDS) === 0) {
        await base.close();
        base = await makeBase(serverUrl, random);
      }
      const which = number % KINDS;
      try {
        if (which < tamperings.length) await inDatabase(base, tamperings[which]!, random, serverUrl, facts);
        else if (which < tamperings.length + bundleTamperings.length)
          await inBundle(base, which - tamperings.length, random, facts);
        else await quiet[which - tamperings.length - bundleTamperings.length]!(base, random, serverUrl);
      } catch (error) {
        const name = tamperings[which]?.name ?? bundleTamperings[which - tamperings.length]?.name ?? 'quiet';
        if (which >= tamperings.length + bundleTamperings.length) facts['false alarms'] += 1;
        failures.push({ seed, case: number, message: `${name}: ${(error as Error).message}` });
        log(`case ${number} (${name}): ${(error as Error).stack}`);
      }
    }
  } finally {
    await base.close();
  }
  return { cases, failures, facts };
}

type Facts = { tampered: number; found: number; skipped: number };

/** Sealed in batches, some of it scrubbed lawfully twice, and with rows that are not sealed yet. */
async function makeBase(serverUrl: string, random: Random): Promise<World> {
  const world = await emptyWorld(serverUrl);
  await fillWorld(world, random, 3, 8);
  const { rows } = await world.client.query(
    "select seq::text from holdfast.trail where changes ? 'email' and organization = 'acme' order by seq limit 4",
  );
  const some = rows.map(({ seq }) => ({ seq: BigInt(seq), columns: ['email'], parts: ['person' as const] }));
  await redactTrail(world.ctx, { rows: some, reason: 'case 1' });
  await redactTrail(world.ctx, {
    rows: some.slice(0, 2).map((row) => ({ ...row, parts: ['record' as const] })),
    reason: 'case 2',
  });
  await fillWorld(world, random, 2, 4);
  await work(world.client, random);
  const before = await world.verify();
  if (!before.ok) throw new Error(`alarm before anything was done: ${before.faults[0]!.message}`);
  await exportBundle(world.database.url, 'acme', join(world.directory, 'bundle'));
  await world.client.end();
  return world;
}

async function inDatabase(
  base: World,
  tampering: (typeof tamperings)[number],
  random: Random,
  serverUrl: string,
  facts: Facts,
): Promise<void> {
  const world = await copyWorld(base, serverUrl);
  try {
    const expected = await tampering.apply(world, random);
    if (!expected) {
      facts.skipped += 1;
      return;
    }
    facts.tampered += 1;
    const { ok, faults } = await world.verify();
    if (ok) throw new Error('was not noticed');
    requireNamed(faults, expected);
    facts.found += 1;
    // What is built on tampered seals would hide it: sealing stops, or leaves the alarm standing.
    await seal(world.ctx).catch((error) => {
      if (error.code !== 'HF_SEAL_BROKEN') throw error;
    });
    if ((await world.verify()).ok) throw new Error('was hidden by sealing again');
  } finally {
    await world.close();
  }
}

function requireNamed(faults: readonly Fault[], expected: Expected): void {
  const fits = (fault: Fault) =>
    expected.kinds.includes(fault.kind) &&
    (expected.seq === undefined || fault.seq === expected.seq) &&
    (expected.tenant === undefined || fault.tenant === expected.tenant) &&
    (expected.entry === undefined || fault.entry === expected.entry);
  if (!faults.some(fits)) {
    throw new Error(
      `was noticed but not named: expected ${JSON.stringify(expected)}, got ${JSON.stringify(faults.slice(0, 3))}`,
    );
  }
}

async function inBundle(base: World, which: number, random: Random, facts: Facts): Promise<void> {
  const { name, kinds, apply } = bundleTamperings[which]!;
  const folder = await mkdtemp(join(tmpdir(), 'holdfast-bundle-'));
  try {
    await cp(join(base.directory, 'bundle'), folder, { recursive: true });
    const trust = trustFile(await publicKeyFile(base.ctx.keys));
    const clean = await verifyBundle(folder, trust);
    if (!clean.ok) throw new Error(`alarm on a whole bundle: ${clean.faults[0]!.message}`);
    const before = await contents(folder);
    await apply(folder, random);
    if ((await contents(folder)) === before) throw new Error('the case changed nothing');
    facts.tampered += 1;
    const { ok, faults } = await verifyBundle(folder, trust);
    if (ok) throw new Error('was not noticed');
    if (!faults.some((fault) => kinds.includes(fault.kind))) {
      throw new Error(`${name} was noticed but not named: ${JSON.stringify(faults.slice(0, 3))}`);
    }
    facts.found += 1;
  } finally {
    await rm(folder, { recursive: true, force: true });
  }
}

async function contents(folder: string): Promise<string> {
  const names = ['bundle.json', 'segments.jsonl', 'entries.jsonl', 'redactions.tsv', 'rows.tsv', 'leaves.bin'];
  const files = await Promise.all(names.map((file) => readFile(join(folder, file), 'latin1')));
  return files.join('');
}
