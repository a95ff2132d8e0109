/**
 * Reads several chunks of tenants in one pass over the tables. A chunk that is read on its own visits every page that holds
 * a row of its tenants; where tenants lie mixed, that is every page, once for each chunk. A pass visits them once.
 */
import type pg from 'pg';
import { tableNamed } from '../datamap/reach.ts';
import type { BoundMap } from '../datamap/types.ts';
import { literal, READ_SNAPSHOT, transaction } from '../sql.ts';
import { copyRows } from './copyRows.ts';
import { PartBuilder, type PartOptions } from './parts.ts';
import { type ChunkSpec, tableSizes } from './plan.ts';
import { openChunk, type ReadOptions } from './readChunk.ts';
import { Router, spooled } from './router.ts';
import { type RowSource, rowSource } from './rowSource.ts';
import { Spool } from './spool.ts';

/** A pass ends here, so that it holds production's xmin for seconds, and its spool stays small. */
const PASS_BYTES = 1 << 30;
/** Chunks of a pass; each has a buffer of its own while the pass reads. */
const PASS_CHUNKS = 32;

/** Neighbouring chunks that can be read together: batches of tenants over the same tables. `most`: estimated raw bytes. */
export function groupPasses(chunks: readonly ChunkSpec[], most = PASS_BYTES): ChunkSpec[][] {
  const passes: ChunkSpec[][] = [];
  let bytes = 0;
  for (const chunk of chunks) {
    const pass = passes.at(-1);
    const fits = pass && pass.length < PASS_CHUNKS && bytes + chunk.bytes <= most;
    if (fits && alike(pass[0]!, chunk)) pass.push(chunk);
    else {
      passes.push([chunk]);
      bytes = 0;
    }
    bytes += chunk.bytes;
  }
  return passes;
}

const alike = (a: ChunkSpec, b: ChunkSpec): boolean =>
  [a, b].every((c) => c.kind === 'tenants' && c.range === undefined) && String(a.tables) === String(b.tables);

/**
 * Reads `pass` and hands over its chunks one after the other; `begin(spec)` gives what takes the parts of the next one.
 * Each client reads a table of its own, all in one snapshot.
 * @throws DatabaseError HF_SCHEMA_MOVED; StoreError HF_SPOOL_FAILED; IntegrityError HF_SPOOL_DAMAGED
 */
export async function readPass(
  clients: readonly pg.Client[],
  bound: BoundMap,
  pass: readonly ChunkSpec[],
  options: Pick<ReadOptions, 'arenas' | 'cut' | 'fingerprint'> & {
    readonly begin: (spec: ChunkSpec) => PartOptions['take'];
    readonly end: (spec: ChunkSpec) => void;
    /** Asked before each chunk; true leaves the rest of the pass unread. */
    readonly stop?: () => boolean;
  },
): Promise<void> {
  const first = pass[0]!;
  const whole: ChunkSpec = { ...first, tenants: pass.flatMap((spec) => spec.tenants) };
  const sources = first.tables.map((name) => rowSource(bound, tableNamed(bound, name), whole, []));
  const spool = Spool.open();
  try {
    const snapshot = await fill(clients, bound, pass, { spool, whole, sources, fingerprint: options.fingerprint });
    for (const [chunk, spec] of pass.entries()) {
      if (options.stop?.()) return;
      const parts = new PartBuilder({ ...options, take: options.begin(spec) });
      await parts.begin(snapshot);
      try {
        for (const source of sources) await parts.read(source, spooled(spool, source.table, chunk));
      } catch (error) {
        parts.drop();
        throw error;
      }
      parts.handOver();
      options.end(spec);
    }
  } finally {
    spool.close();
  }
}

/** Reads all tables into the spool; gives the snapshot they were read in. */
async function fill(
  clients: readonly pg.Client[],
  bound: BoundMap,
  pass: readonly ChunkSpec[],
  about: { spool: Spool; whole: ChunkSpec; sources: readonly RowSource[]; fingerprint: string },
): Promise<string> {
  const [main, ...others] = clients as readonly [pg.Client, ...pg.Client[]];
  const chunkOf = new Map(pass.flatMap((spec, chunk) => spec.tenants.map((tenant) => [tenant, chunk] as const)));
  // The largest first, so that no reader is left alone with it at the end.
  const sizes = await tableSizes(
    main,
    about.sources.map((source) => tableNamed(bound, source.table)),
  );
  const queue = [...about.sources].sort((a, b) => sizes.get(b.table)! - sizes.get(a.table)!);
  const read = async (client: pg.Client) => {
    const router = new Router(about.spool, chunkOf, pass.length);
    for (let source = queue.shift(); source; source = queue.shift()) {
      router.begin(source.table, source.layout);
      await copyRows(client, source.sql, router.arena, router);
      router.finish();
    }
  };
  const stop = (error: unknown) => {
    queue.length = 0; // for the other reader
    throw error;
  };
  return transaction(main, READ_SNAPSHOT, async () => {
    const snapshot = await openChunk(main, bound, about.whole, about.fingerprint);
    const { rows } = await main.query<{ id: string }>('select pg_export_snapshot() as id');
    const join = (client: pg.Client) =>
      transaction(client, READ_SNAPSHOT, async () => {
        await client.query(`set transaction snapshot ${literal(rows[0]!.id)}`);
        await read(client);
      });
    const ended = await Promise.allSettled([read(main), ...others.map(join)].map((reading) => reading.catch(stop)));
    const failed = ended.find((result) => result.status === 'rejected');
    if (failed) throw failed.reason;
    return snapshot;
  });
}
