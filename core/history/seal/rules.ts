/** Which columns stand in the open in a leaf. A column that nobody classified is committed to. */
import { createHash } from 'node:crypto';
import type { BoundMap } from '../../datamap/types.ts';
import { canonicalJson } from '../../snapshot/canonical.ts';
import type { Client } from '../../sql.ts';
import type { OpenColumns } from './leaf.ts';
import type { OpenNames } from './leafBytes.ts';

/** Open columns by the id of their table, as the trail has it. */
export class SealRules {
  readonly document: string;
  readonly sha256: string;
  readonly #open: ReadonlyMap<string, OpenColumns>;
  readonly #openBytes: ReadonlyMap<number, OpenNames>;

  constructor(document: string) {
    this.document = document;
    this.sha256 = createHash('sha256').update(document).digest('hex');
    const parsed = JSON.parse(document) as Record<string, string[]>;
    this.#open = new Map(Object.entries(parsed).map(([table, names]) => [table, new Set(names)]));
    this.#openBytes = new Map(
      Object.entries(parsed).map(([table, names]) => [Number(table), names.map((name) => Buffer.from(name))]),
    );
  }

  open(table: string): OpenColumns {
    return this.#open.get(table);
  }

  /** The same as bytes. */
  openBytes(table: number): OpenNames {
    return this.#openBytes.get(table);
  }
}

/** Columns classed none or internal and not sealed in backups are open. */
export function rulesOf(bound: BoundMap | undefined): SealRules {
  const tables = (bound?.tables ?? []).map((table): [string, string[]] => [
    String(table.id),
    table.columns
      .filter(({ rule }) => !rule.sealed && rule.class !== 'personal' && rule.class !== 'sensitive')
      .map(({ name }) => name)
      .sort(),
  ]);
  return new SealRules(canonicalJson(Object.fromEntries(tables.filter(([, names]) => names.length > 0))));
}

export async function storeRules(client: Client, rules: SealRules): Promise<void> {
  await client.query('insert into holdfast.seal_rules (sha256, document) values ($1, $2) on conflict do nothing', [
    rules.sha256,
    rules.document,
  ]);
}

/** Undefined when they are gone or are not what the digest is of. */
export async function readRules(client: Client, sha256: string): Promise<SealRules | undefined> {
  const { rows } = await client.query('select document from holdfast.seal_rules where sha256 = $1', [sha256]);
  return rows[0] ? checkedRules(rows[0].document, sha256) : undefined;
}

export function checkedRules(document: string, sha256: string): SealRules | undefined {
  if (createHash('sha256').update(document).digest('hex') !== sha256) return undefined;
  return new SealRules(document);
}
