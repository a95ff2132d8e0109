/**
 * Columns that every write stamps, such as `updated_at`. A later stamp is nobody's edit: it stays, and is no conflict.
 *
 * Besides those that the data map calls stamped: what a BEFORE trigger of one row sets to something that does not come from
 * the row (the time, the user, a counter). What it makes out of the row's own new values may be somebody's edit, and is not meant.
 */
import type { BoundTable } from '../../datamap/types.ts';
import type { Client } from '../../sql.ts';

/** By Holdfast's id of the table. */
export async function readStamped(
  client: Client,
  tables: readonly BoundTable[],
): Promise<ReadonlyMap<number, ReadonlySet<string>>> {
  const { rows } = await client.query(
    `select distinct t.tgrelid as oid, p.prosrc as source
       from pg_trigger t join pg_proc p on p.oid = t.tgfoid join pg_language l on l.oid = p.prolang
      where t.tgrelid = any ($1::oid[]) and not t.tgisinternal and t.tgenabled <> 'D' and l.lanname = 'plpgsql'
        and t.tgtype & 1 = 1 and t.tgtype & 2 = 2 and t.tgtype & 16 = 16 -- for each row, before, update
      order by 1`,
    [tables.map((t) => t.oid)],
  );
  return new Map(
    tables.map((table) => {
      const names = table.columns.map((c) => c.name);
      const set = rows.filter((r) => r.oid === table.oid).flatMap((r) => columnsSet(r.source as string, names));
      return [
        table.id,
        new Set([...names.filter((n) => table.columns.find((c) => c.name === n)!.rule.stamped), ...set]),
      ];
    }),
  );
}

/** Those that are assigned, and never from a value of NEW. */
export function columnsSet(source: string, columns: readonly string[]): string[] {
  const code = source.replace(/--[^\n]*/g, '').replace(/\/\*[\s\S]*?\*\//g, '');
  const sound = new Map<string, boolean>();
  for (const [, quoted, plain, value] of code.matchAll(
    /\bnew\s*\.\s*(?:"((?:[^"]|"")+)"|([\p{L}_][\p{L}\p{N}_$]*))\s*:?=([^;]*);/giu,
  )) {
    const name = quoted?.replaceAll('""', '"') ?? plain!.toLowerCase();
    sound.set(name, (sound.get(name) ?? true) && !/\bnew\b/i.test(value!));
  }
  return columns.filter((name) => sound.get(name));
}
