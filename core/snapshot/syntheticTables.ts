/** What folding must know of each table: its columns, its key, what is sealed. Read from the schema in the backup itself. */
import type { Context } from '../context.ts';
import { bind } from '../datamap/bind.ts';
import { HoldfastError, RestoreError } from '../errors.ts';
import type { Chain } from '../restore/chain.ts';
import { readSchemaObject } from '../restore/schemaObject.ts';
import type { Engine, EngineMaker } from './open/engine.ts';
import { missingExtensions, openPglite } from './open/pglite.ts';
import { makeSchema } from './open/schema.ts';
import type { SlabReader } from './readSlab.ts';

export interface FoldTable {
  readonly id: number;
  readonly name: string;
  readonly key: readonly string[];
  /** Stored columns that stand open, and those that go under the person's key. */
  readonly open: readonly string[];
  readonly sealed: readonly string[];
  /** Every column there is, generated ones included, which rows in a backup do not have. */
  readonly columns: ReadonlySet<string>;
  readonly erase: 'delete' | 'anonymise';
  /** Whether its rows belong to tenants. */
  readonly tenant: boolean;
}

/**
 * By name, without the excluded ones.
 * @throws RestoreError HF_SCHEMA_CHANGED when a table changed its shape between the base and the end of the log
 */
export async function foldTables(
  ctx: Context,
  reader: SlabReader,
  chain: Chain,
  scratch: EngineMaker,
): Promise<Map<string, FoldTable>> {
  const last = chain.logs.at(-1)!;
  refuseChanged(chain);
  const { schema } = await readSchemaObject(reader, last);
  const engine = await openPglite(schema)
    .then((made) => withSchema(made))
    .catch(async (error: unknown) => {
      if (!(error instanceof HoldfastError) || !/^HF_ENGINE_/.test(error.code)) throw error;
      return withSchema(await scratch(schema));
    });
  async function withSchema(made: Engine): Promise<Engine> {
    try {
      await makeSchema(made, schema, made.name === 'pglite' ? missingExtensions(schema) : []);
      return made;
    } catch (error) {
      await made.close();
      throw error;
    }
  }
  try {
    const bound = await bind(engine.admin, ctx.map);
    const ids = new Map(last.tables.map((t) => [t.name, t.id]));
    const kept = bound.tables.filter((t) => ids.has(t.name) && !chain.excluded.includes(t.name));
    return new Map(
      kept.map((t) => {
        const stored = t.columns.filter((c) => c.generated === '');
        const sealed = t.person ? stored.filter((c) => c.rule.sealed).map((c) => c.name) : [];
        const table: FoldTable = {
          id: ids.get(t.name)!,
          name: t.name,
          key: t.key,
          open: stored.map((c) => c.name).filter((name) => !sealed.includes(name)),
          sealed,
          columns: new Set(t.columns.map((c) => c.name)),
          erase: t.erase,
          tenant: t.tenant !== undefined,
        };
        return [t.name, table];
      }),
    );
  } finally {
    await engine.close();
  }
}

/** Rows of another shape would have to be rewritten by rules that only the database knows. */
function refuseChanged(chain: Chain): void {
  const then = new Map(chain.base.tables.map((t) => [t.id, t]));
  for (const manifest of chain.logs) {
    for (const { id, name, version } of manifest.tables) {
      const base = then.get(id);
      if (base?.version === version && base.name === name) continue;
      throw new RestoreError('HF_SCHEMA_CHANGED', `${name} has changed its shape since backup ${chain.base.id}.`, {
        action: 'Take a full backup of the database itself: holdfast backup --type full.',
        details: { table: name, base: chain.base.id, backup: manifest.id },
      });
    }
  }
}
