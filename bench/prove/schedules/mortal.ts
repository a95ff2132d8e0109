/** A connection and an engine that die with their scheduler, after so many messages, before or after the last one has arrived. */
import type pg from 'pg';
import type { Execution, Workflows } from '../../../core/ports.ts';

export class Killed extends Error {}

/** How many messages are left; `arrives` says whether the one that is the last is still heard. */
export interface Fate {
  left: number;
  readonly arrives: boolean;
}

/** The same connection, which breaks when its time has come: the server rolls back what was not committed. */
export function mortalClient(client: pg.Client, fate: Fate): pg.Client {
  const query = (...args: Parameters<pg.Client['query']>) => {
    fate.left -= 1;
    if (fate.left > 0) return client.query(...args);
    if (fate.left === 0 && fate.arrives) {
      (client.query(...args) as unknown as Promise<unknown>).catch(() => {});
      // Long enough for the message to leave, too short for the answer to be acted on.
      setImmediate(() => destroy(client));
    } else destroy(client);
    return Promise.reject(new Killed());
  };
  return new Proxy(client, { get: (target, name) => (name === 'query' ? query : Reflect.get(target, name)) });
}

const destroy = (client: pg.Client): void => {
  (client as unknown as { connection: { stream: { destroy(): void } } }).connection.stream.destroy();
};

export function mortalEngine(engine: Workflows, fate: Fate): Workflows {
  return {
    async start(...args): Promise<string> {
      fate.left -= 1;
      if (fate.left > 0) return engine.start(...args);
      if (fate.left === 0 && fate.arrives) await engine.start(...args);
      // The scheduler is gone: whatever it would do about the error, no message of it arrives.
      throw new Killed();
    },
    status: (execution): Promise<Execution | undefined> => engine.status(execution),
  };
}
