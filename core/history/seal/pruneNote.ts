/** What pruning has to say to the seals: which rows are gone for good reason. */
import type pg from 'pg';
import { ident, literal } from '../../sql.ts';
import { parseSnapshot } from '../snapshots.ts';
import { visibleSql } from '../visibleSql.ts';
import { insertEntry, makeEntry } from './entry.ts';
import { openLog, type SealKeys } from './log.ts';
import { sealedTo } from './seal.ts';

/**
 * Call it in the transaction that drops partitions, before it drops them, oldest first. Returns those that may go: the ones
 * whose rows are all sealed, or all when nothing was ever sealed. The others stay, and so do those after them.
 * @throws IntegrityError HF_SEAL_BROKEN
 */
export async function notePruning(
  client: pg.Client | pg.PoolClient,
  ctx: SealKeys,
  partitions: readonly string[],
  archivedBy: string | null,
): Promise<readonly string[]> {
  const log = await openLog(client, ctx);
  if (!log.last || partitions.length === 0) return partitions;
  const to = parseSnapshot(await sealedTo(client, log.last));
  const going: string[] = [];
  for (const name of partitions) {
    const { rows } = await client.query(
      `select not exists (select from holdfast.${ident(name)} t where not ${visibleSql('t.xid', to)}) as sealed`,
    );
    if (!rows[0].sealed) break;
    going.push(name);
  }
  const { rows } = await client.query(
    `select max(seq)::text as through from (${going.map((name) => `select max(seq) as seq from holdfast.${ident(name)}`).join(' union all ') || 'select null::bigint as seq'}) x`,
  );
  const through = rows[0].through as string | null;
  if (through === null) return going;
  const kept = await client.query(
    `select t.seq::text as seq from holdfast.trail t
      where t.seq <= $1 and t.xid < $2 and t.tableoid <> all (array[${going.map((n) => `${literal(`holdfast.${ident(n)}`)}::regclass::oid`)}])
      order by t.seq`,
    [through, to.xmax.toString()],
  );
  const entry = await makeEntry(ctx.keys, log.last, log.epoch, log.heads, {
    kind: 'prune',
    through,
    except: kept.rows.map((row) => row.seq as string),
    partitions: going,
    archivedBy,
  });
  await insertEntry(client, entry);
  // Salts of rows that are gone keep nothing but the way to guess them.
  await client.query(
    `delete from holdfast.seal_salts t using holdfast.seal_segments s
      where s.chain = t.chain and s.number = t.number and s.last_seq <= $1
        and not exists (select from unnest($2::bigint[]) k where k between s.first_seq and s.last_seq)`,
    [through, kept.rows.map((row) => row.seq)],
  );
  return going;
}
