/**
 * How the files of a run are shared out: by set and tenant, and a tenant with very many in parts. Parts go by a hash of the path, so
 * that a file stays in its part whatever comes and goes beside it, and its page stays as it is.
 */
import type { BoundMap } from '../datamap/types.ts';
import type { Client } from '../sql.ts';
import { countFiles } from './owners.ts';
import type { FileSetSetting, Part } from './types.ts';

/** Of one set, the files of one tenant (`_shared`: of rows without one), or a part of them. */
export interface Share {
  readonly set: string;
  readonly tenant: string;
  /** Absent: all of them. */
  readonly part?: Part;
}

/** A tenant with more is cut into parts; seconds of work where little has changed. */
export const SHARE_FILES = 16_384;
/** Tenants of one item, each of which takes a query. */
const ITEM_SHARES = 500;
/** What a Distributed Map says of so many items stays far below the limit of a payload. */
const MOST_ITEMS = 4000;

type Counted = Share & { readonly files: number };

/** Who has files at all, in order. One query per set. */
export async function sharesOf(
  client: Client,
  bound: BoundMap,
  sets: readonly FileSetSetting[],
  scope: string | null,
  tenants: readonly string[],
  shareFiles = SHARE_FILES,
): Promise<Counted[]> {
  const shares: Counted[] = [];
  for (const set of sets) {
    for (const [tenant, files] of await countFiles(client, bound, set, scope, tenants)) {
      const of = 2 ** Math.max(0, Math.ceil(Math.log2(files / shareFiles)));
      if (of === 1) shares.push({ set: set.name, tenant, files });
      else {
        for (let number = 0; number < of; number++) {
          shares.push({ set: set.name, tenant, part: { number, of }, files: files / of });
        }
      }
    }
  }
  return shares;
}

/** Neighbours together, as much as one worker does well at a time; at least one item, which may be empty. */
export function itemsOf(shares: readonly Counted[], shareFiles = SHARE_FILES): Share[][] {
  const items: Share[][] = [[]];
  let files = 0;
  for (const { files: own, ...share } of shares) {
    if (items.at(-1)!.length > 0 && (files + own > shareFiles || items.at(-1)!.length === ITEM_SHARES)) {
      items.push([]);
      files = 0;
    }
    items.at(-1)!.push(share);
    files += own;
  }
  const each = Math.ceil(items.length / MOST_ITEMS);
  return Array.from({ length: Math.ceil(items.length / each) }, (_, i) => items.slice(i * each, (i + 1) * each).flat());
}
