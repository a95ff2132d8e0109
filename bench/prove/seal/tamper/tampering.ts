/** What a way to tamper is, and what the ways have in common. */
import type { FaultKind } from '../../../../core/history/seal/types.ts';
import type { Random } from '../../suite.ts';
import type { World } from '../world.ts';

/** What a fault must say for the tampering to count as found and named. */
export interface Expected {
  readonly kinds: readonly FaultKind[];
  readonly seq?: string;
  readonly tenant?: string | null;
  readonly entry?: number;
}

export interface Tampering {
  readonly name: string;
  /** Undefined: the world has nothing to do this to. */
  apply(world: World, random: Random): Promise<Expected | undefined>;
}

export interface Row {
  readonly seq: string;
  readonly xid: string;
  readonly organization: string | null;
}

/** Condition over a row `t`: some of it was scrubbed lawfully. */
export const SCRUBBED = 'exists (select from holdfast.seal_redactions r where r.seq = t.seq)';

/** Condition over a row `t`: the newest batch sees it. */
export const SEALED = `pg_visible_in_snapshot(t.xid::text::xid8, (
  select (document::jsonb ->> 'to')::pg_snapshot from holdfast.seal_entries where document::jsonb ->> 'kind' = 'batch' order by number desc limit 1))`;

/** A sealed row; by default one that was not scrubbed. */
export async function anyRow(world: World, random: Random, condition = `not ${SCRUBBED}`): Promise<Row | undefined> {
  const { rows } = await world.client.query(
    `select t.seq::text, t.xid::text, t.organization from holdfast.trail t where ${condition} and ${SEALED} order by t.seq`,
  );
  return rows.length > 0 ? random.pick(rows as Row[]) : undefined;
}

/** The number of the newest seal. */
export async function last(world: World): Promise<number> {
  return Number((await world.client.query('select max(number)::text as n from holdfast.seal_entries')).rows[0].n);
}

export const named = (row: Row, ...kinds: FaultKind[]): Expected => ({ kinds, seq: row.seq, tenant: row.organization });
