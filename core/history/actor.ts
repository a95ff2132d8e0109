import { type Client, transaction } from '../sql.ts';

/** Who acts. Every part is optional; an empty context is still a context. */
export interface Actor {
  readonly userId?: string;
  readonly email?: string;
  readonly sessionId?: string;
  readonly ip?: string;
  readonly userAgent?: string;
}

/** Names the actor for the rest of the running transaction. */
export async function setActor(client: Client, actor: Actor): Promise<void> {
  await client.query('select holdfast.set_actor($1, $2, $3, $4, $5)', [
    actor.userId ?? null,
    actor.email ?? null,
    actor.sessionId ?? null,
    actor.ip ?? null,
    actor.userAgent ?? null,
  ]);
}

/**
 * Runs `work` in one transaction whose changes carry `actor`, and rolls back when it throws. The context ends with the
 * transaction, so a pooled connection takes nothing of it along.
 */
export async function withActor<T>(client: Client, actor: Actor, work: () => Promise<T>): Promise<T> {
  return transaction(client, '', async () => {
    await setActor(client, actor);
    return work();
  });
}
