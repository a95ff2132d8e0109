/** Tries mending SQL for real, in a transaction that is rolled back: nobody should have to find out at night that it fails. */
import type { Client } from '../../sql.ts';
import type { Mend, Trial } from './types.ts';

export interface TrialOptions {
  /** A trial may hold its locks for no longer. @default 5,000 */
  readonly milliseconds?: number;
  /** Rows above which a table is not locked for a trial. @default 1,000,000 */
  readonly mostRows?: number;
}

/** @param rows the planner's estimate for the table */
export async function tried(client: Client, mend: Mend, rows: number, options: TrialOptions = {}): Promise<Mend> {
  const most = options.mostRows ?? 1_000_000;
  if (rows > most) {
    const reason = `the table has about ${Math.round(rows).toLocaleString('en')} rows, and a trial would lock it; try it in a copy`;
    return { ...mend, tried: { result: 'not tried', reason } };
  }
  return { ...mend, tried: await attempt(client, mend.sql, options.milliseconds ?? 5000) };
}

async function attempt(client: Client, statements: readonly string[], milliseconds: number): Promise<Trial> {
  await client.query('begin');
  try {
    // Who waits for a lock makes everybody behind it wait too, so the wait is short.
    await client.query("select set_config('lock_timeout', '1s', true), set_config('statement_timeout', $1, true)", [
      `${milliseconds}ms`,
    ]);
    for (const sql of statements) await client.query(sql);
    await client.query('set constraints all immediate');
    return { result: 'works' };
  } catch (error) {
    const { code, message, detail } = error as { code?: string; message: string; detail?: string };
    if (code === undefined || !/^[0-9A-Z]{5}$/.test(code) || /^(08|57P)/.test(code)) throw error;
    if (code === '57014') return { result: 'not tried', reason: `it takes longer than ${milliseconds / 1000} s` };
    if (code === '55P03') return { result: 'not tried', reason: 'the table is in use; a trial does not wait for it' };
    return { result: 'fails', reason: [message, detail].filter(Boolean).join(': ') };
  } finally {
    await client.query('rollback');
  }
}
