/** Stores and keys that answer as late as those of AWS do, from a function in the same region. What they do is done here. */
import { setTimeout as sleep } from 'node:timers/promises';
import type { Context } from '../../../core/context.ts';
import { StoreError } from '../../../core/errors.ts';

/** Milliseconds: first byte of S3 for a small object, a call of KMS, and three calls for the keys of a tenant's persons. */
const WAITS: Readonly<Record<string, Readonly<Record<string, number>>>> = {
  store: { put: 40, putStream: 40, get: 25, head: 15, list: 25, delete: 25 },
  keys: { generate: 10, wrap: 10, unwrap: 10, sign: 10 },
  persons: { obtain: 20, lookup: 20 },
};

export function slowServices<C extends Context>(ctx: C): C {
  const slow = Object.entries(WAITS).map(([part, waits]) => [
    part,
    late(ctx[part as 'store' | 'keys' | 'persons'], waits),
  ]);
  return { ...ctx, ...Object.fromEntries(slow) };
}

function late<T extends object>(service: T, waits: Readonly<Record<string, number>>): T {
  return new Proxy(service, {
    get(target, name) {
      const value = Reflect.get(target, name, target) as unknown;
      if (typeof value !== 'function') return value;
      const own = value.bind(target) as (...values: unknown[]) => unknown;
      const wait = waits[String(name)];
      if (wait === undefined) return own;
      // No function that makes backups may delete; what they leave behind is for cleanup.
      if (name === 'delete') return () => Promise.reject(new StoreError('HF_STORE_DENIED', 'No.', { action: 'None.' }));
      if (name !== 'list') return async (...values: unknown[]) => sleep(wait).then(() => own(...values));
      return async function* (...values: unknown[]) {
        await sleep(wait); // of the first page; others are asked for while this one is read
        yield* own(...values) as AsyncIterable<unknown>;
      };
    },
  });
}
