/** Holds all writers of the sample back for as long as a transaction lasts. */
import type pg from 'pg';

/** Begins a transaction that no writer can be beside. Locks on many tables can meet a deadlock; then it begins again. */
export async function pauseWriters(reader: pg.Client): Promise<void> {
  for (;;) {
    await reader.query('begin isolation level read committed');
    try {
      const { rows } = await reader.query(
        `select string_agg(oid::regclass::text, ', ') as all from pg_class
          where relnamespace = 'public'::regnamespace and relkind in ('r', 'p')`,
      );
      await reader.query(`lock table ${rows[0].all} in share mode`);
      return;
    } catch (error) {
      await reader.query('rollback');
      if ((error as { code?: string }).code !== '40P01') throw error;
    }
  }
}
