/** What holdfast.yaml says of schedules, brought into the database. */
import type pg from 'pg';
import { transaction } from '../sql.ts';
import { insert, listSchedules, remove, update } from './store.ts';
import type { Definition, Schedule } from './types.ts';

export interface FileChanges {
  readonly added: readonly string[];
  readonly changed: readonly string[];
  readonly removed: readonly string[];
}

const AUTHOR = 'holdfast.yaml';

/**
 * Idempotent. A schedule is the same as before when tenant and name are; one made at run time under a name that the file now has
 * becomes the file's.
 */
export function applyFile(client: pg.Client, definitions: readonly Definition[], now: number): Promise<FileChanges> {
  return transaction(client, '', async () => {
    await client.query("select pg_advisory_xact_lock(hashtextextended('holdfast.schedules', 0))");
    const author = { by: AUTHOR, now };
    const known = new Map((await fileAndNamesakes(client, definitions)).map((s) => [key(s), s]));
    const changes = { added: [] as string[], changed: [] as string[], removed: [] as string[] };
    for (const definition of definitions) {
      const old = known.get(key(definition));
      known.delete(key(definition));
      if (!old) {
        await insert(client, definition, { ...author, origin: 'file' });
        changes.added.push(definition.name);
      } else if (old.origin !== 'file' || !same(old, definition)) {
        await update(client, old, definition, author);
        await client.query(
          "update holdfast.tenant_backup_schedules set origin = 'file' where id = $1 and origin <> 'file'",
          [old.id],
        );
        changes.changed.push(definition.name);
      }
    }
    for (const gone of known.values()) {
      await remove(client, gone.id, author);
      changes.removed.push(gone.name);
    }
    return changes;
  });
}

const key = ({ tenant, name }: Pick<Definition, 'tenant' | 'name'>): string => JSON.stringify([tenant, name]);

async function fileAndNamesakes(client: pg.Client, definitions: readonly Definition[]): Promise<Schedule[]> {
  const wanted = new Set(definitions.map(key));
  const all = await listSchedules(client, { limit: Number.MAX_SAFE_INTEGER });
  return all.filter((s) => s.origin === 'file' || wanted.has(key(s)));
}

const same = (a: Definition, b: Definition): boolean =>
  (['type', 'cron', 'timeZone', 'spread', 'overlap', 'grace', 'enabled'] as const).every(
    (field) => a[field] === b[field],
  );
