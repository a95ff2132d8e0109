/** The tenant keys of a store: which root wraps each, and wrapping them anew without touching a byte of any backup. */
import type { Context } from '../context.ts';
import { isCode } from '../errors.ts';
import { Keyring } from '../snapshot/keyring.ts';
import { openStore } from '../snapshot/store.ts';
import { readTenantKey, rewrappedName, tenantKeyBytes, tenantKeyContext } from '../snapshot/tenantKeyFile.ts';

type StoreAndKeys = Pick<Context, 'store' | 'keys' | 'progress'>;

export interface TenantKeyState {
  readonly tenant: string;
  readonly id: string;
  /** The root that wrapped it first. */
  readonly rootKey: string;
  /** Whether the current root wraps it too, or did so first. */
  readonly current: boolean;
}

/** Every tenant key of the store, streamed in the order of their names. Asks the key service nothing. */
export async function* tenantKeys(ctx: StoreAndKeys): AsyncGenerator<TenantKeyState> {
  const { store, keys } = ctx;
  for await (const { name } of store.list('keys/')) {
    const { tenant, id, rootKey } = readTenantKey(await store.get(name), name);
    const again = rewrappedName(tenant, id, keys.rootKeyId);
    yield { tenant, id, rootKey, current: rootKey === keys.rootKeyId || (await store.head(again)) !== undefined };
  }
}

/**
 * Wraps every tenant key with the current root that it does not wrap yet. What is there stays, so it may be stopped and run again,
 * and older readers go on reading. Two calls to the key service per key.
 * @returns how many were wrapped now, and how many there are
 */
export async function rewrapTenantKeys(ctx: StoreAndKeys): Promise<{ rewrapped: number; total: number }> {
  const { store, keys, progress } = ctx;
  const { id: storeId } = await openStore(ctx);
  const keyring = new Keyring(store, keys, storeId);
  const all: TenantKeyState[] = [];
  for await (const state of tenantKeys(ctx)) all.push(state);
  const open = all.filter((state) => !state.current);
  progress.start('Wrapping', open.length, 'steps');
  for (const { tenant, id } of open) {
    const { key } = await keyring.tenantKeyById(tenant, id);
    const of = { store: storeId, tenant, id, rootKey: keys.rootKeyId };
    const wrapped = await keys.wrap(key, tenantKeyContext(of));
    await store.put(rewrappedName(tenant, id, keys.rootKeyId), tenantKeyBytes(of, wrapped)).catch((error) => {
      if (!isCode(error, 'HF_OBJECT_EXISTS')) throw error; // another run did it
    });
    progress.advance(1);
  }
  progress.done();
  return { rewrapped: open.length, total: all.length };
}
