/** What must be so after a case. */
import type { Execution } from '../../../core/ports.ts';

export type Ended = Execution & { readonly output?: unknown };

function must(holds: boolean, message: string): asserts holds {
  if (!holds) throw new Error(message);
}

export const same = (got: unknown, expected: unknown, what: string): void => {
  const [a, b] = [JSON.stringify(got), JSON.stringify(expected)];
  must(a === b, `${what}: ${a} instead of ${b}`.slice(0, 600));
};

export const succeeded = (ended: Ended): void =>
  must(ended.status === 'succeeded', `failed: ${ended.error?.error} ${ended.error?.cause}`);
