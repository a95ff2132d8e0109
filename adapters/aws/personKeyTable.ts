/**
 * Person keys in a DynamoDB table that has no point-in-time recovery and is in no backup, so that nothing can bring a key back. Per
 * tenant one item with its wrapped secret, and one for each person:
 *
 *     { tenant, item: 'secret',      wrapped, rootKey }
 *     { tenant, item: 'p#<ref>',     wrapped }             a live key
 *     { tenant, item: 'p#<ref>',     erased: true }        the fence: no key can be made again
 *
 * Every write is conditional: a key is made only where there is neither a key nor a fence. All reads are consistent.
 */
import {
  type AttributeValue,
  BatchGetItemCommand,
  ConditionalCheckFailedException,
  DynamoDBClient,
  type DynamoDBClientConfig,
  GetItemCommand,
  PutItemCommand,
  paginateScan,
} from '@aws-sdk/client-dynamodb';
import { HoldfastError, KeyError } from '../../core/errors.ts';
import type { KeyService, PersonKey, PersonKeyStore } from '../../core/ports.ts';
import { PersonSecret, personSecretContext } from '../../core/snapshot/personSecret.ts';

/** What BatchGetItem takes. */
const BATCH = 100;
/** Puts in flight. */
const WRITERS = 16;
/** Keys kept unwrapped in memory at most. */
const CACHE = 100_000;
/**
 * Seconds for which a key is used without asking again. An erasure is complete only after this time: until then a function that
 * is running may still seal for that person, in a backup whose key is gone.
 */
const CACHE_SECONDS = 60;

type Item = Record<string, AttributeValue>;
interface Cached {
  readonly key: PersonKey;
  readonly until: number;
}

export interface PersonKeyTableProps {
  readonly table: string;
  readonly keys: KeyService;
  readonly config?: DynamoDBClientConfig;
}

export class PersonKeyTable implements PersonKeyStore {
  readonly #client: DynamoDBClient;
  readonly #table: string;
  readonly #root: KeyService;
  readonly #secrets = new Map<string, Promise<PersonSecret | undefined>>();
  readonly #cache = new Map<string, Cached>();

  constructor({ table, keys, config = {} }: PersonKeyTableProps) {
    this.#client = new DynamoDBClient({ maxAttempts: 8, ...config });
    this.#table = table;
    this.#root = keys;
  }

  async obtain(tenant: string, persons: readonly string[]): Promise<Map<string, PersonKey>> {
    const found = new Map<string, PersonKey>();
    if (persons.length === 0) return found;
    return this.#translated(async () => {
      const secret = await this.#secret(tenant, true);
      const byRef = new Map(persons.map((person) => [secret.reference(person), person]));
      const { live, fenced } = await this.#read(tenant, secret, [...byRef.keys()]);
      const missing = [...byRef.keys()].filter((ref) => !live.has(ref) && !fenced.has(ref));
      for (const [ref, key] of await this.#make(tenant, secret, missing)) live.set(ref, key);
      for (const person of persons) {
        const key = live.get(secret.reference(person));
        if (key) found.set(person, key);
      }
      return found;
    });
  }

  lookup(tenant: string, refs: readonly string[]): Promise<Map<string, PersonKey>> {
    return this.#translated(async () => {
      const secret = await this.#secret(tenant, false);
      return secret ? (await this.#read(tenant, secret, refs)).live : new Map();
    });
  }

  state(tenant: string, ref: string): Promise<'live' | 'erased' | 'unknown'> {
    return this.#translated(async () => {
      const item = await this.#get(tenant, personItem(ref));
      if (!item) return 'unknown';
      return item.erased ? 'erased' : 'live';
    });
  }

  /**
   * Erases a person for good: one write replaces the key with the fence. Doing it again changes nothing.
   * @returns the reference
   */
  erase(tenant: string, person: string): Promise<string> {
    return this.#translated(async () => {
      const ref = (await this.#secret(tenant, true)).reference(person);
      await this.#put({ ...at(tenant, personItem(ref)), erased: { BOOL: true } });
      this.#cache.delete(cacheName(tenant, ref));
      return ref;
    });
  }

  /**
   * Wraps the secret of every tenant with the current root. The keys of persons hang on the secret and stay as they are; each item is
   * written only as it was read, so this may be stopped, and run again. Reads the whole table, and needs dynamodb:Scan.
   * @returns how many were wrapped now
   */
  rewrap(): Promise<number> {
    return this.#translated(async () => {
      let count = 0;
      const pages = paginateScan(
        { client: this.#client },
        {
          TableName: this.#table,
          ConsistentRead: true,
          FilterExpression: '#item = :secret and rootKey <> :current',
          ExpressionAttributeNames: { '#item': 'item' },
          ExpressionAttributeValues: { ':secret': { S: 'secret' }, ':current': { S: this.#root.rootKeyId } },
        },
      );
      for await (const { Items = [] } of pages) for (const item of Items) if (await this.#rewrapSecret(item)) count++;
      return count;
    });
  }

  async #rewrapSecret(item: Item): Promise<boolean> {
    const tenant = item.tenant!.S!;
    const context = personSecretContext(tenant);
    const wrapped = await this.#root.wrap(await this.#root.unwrap(item.wrapped!.B!, context), context);
    return this.#put(
      { ...at(tenant, 'secret'), wrapped: { B: wrapped }, rootKey: { S: this.#root.rootKeyId } },
      { rootKey: item.rootKey! },
    );
  }

  async #read(
    tenant: string,
    secret: PersonSecret,
    refs: readonly string[],
  ): Promise<{ live: Map<string, PersonKey>; fenced: Set<string> }> {
    const live = new Map<string, PersonKey>();
    const fenced = new Set<string>();
    const asked: string[] = [];
    for (const ref of new Set(refs)) {
      const known = this.#cache.get(cacheName(tenant, ref));
      if (known && known.until > Date.now()) live.set(ref, known.key);
      else asked.push(ref);
    }
    for (let i = 0; i < asked.length; i += BATCH) {
      for (const item of await this.#batchGet(tenant, asked.slice(i, i + BATCH))) {
        const ref = item.item!.S!.slice(2);
        if (item.erased) fenced.add(ref);
        else live.set(ref, this.#remember(tenant, unwrapped(secret, ref, item)));
      }
    }
    return { live, fenced };
  }

  async #make(tenant: string, secret: PersonSecret, refs: readonly string[]): Promise<Map<string, PersonKey>> {
    const made = new Map<string, PersonKey>();
    const queue = [...refs];
    const work = async () => {
      for (let ref = queue.pop(); ref !== undefined; ref = queue.pop()) {
        const { key, wrapped } = secret.newKey(ref);
        if (await this.#put({ ...at(tenant, personItem(ref)), wrapped: { B: wrapped } }, 'new')) {
          made.set(ref, this.#remember(tenant, { ref, key }));
          continue;
        }
        // Another writer was first: it made the key, or the fence.
        const item = (await this.#get(tenant, personItem(ref)))!;
        if (!item.erased) made.set(ref, this.#remember(tenant, unwrapped(secret, ref, item)));
      }
    };
    await Promise.all(Array.from({ length: Math.min(WRITERS, refs.length) }, work));
    return made;
  }

  #remember(tenant: string, key: PersonKey): PersonKey {
    if (this.#cache.size >= CACHE) this.#cache.clear();
    this.#cache.set(cacheName(tenant, key.ref), { key, until: Date.now() + CACHE_SECONDS * 1000 });
    return key;
  }

  /** The tenant's secret, kept for the life of the process: it never changes. */
  #secret(tenant: string, create: true): Promise<PersonSecret>;
  #secret(tenant: string, create: boolean): Promise<PersonSecret | undefined>;
  async #secret(tenant: string, create: boolean): Promise<PersonSecret | undefined> {
    let known = this.#secrets.get(tenant);
    if (!known) {
      known = this.#loadSecret(tenant);
      this.#secrets.set(tenant, known);
    }
    const secret = await known.catch((error) => {
      this.#secrets.delete(tenant);
      throw error;
    });
    if (secret) return secret;
    this.#secrets.delete(tenant);
    if (!create) return undefined;
    const { wrapped } = await this.#root.generate(personSecretContext(tenant));
    await this.#put(
      { ...at(tenant, 'secret'), wrapped: { B: wrapped }, rootKey: { S: this.#root.rootKeyId } },
      'new', // if another process was first, its secret is the one
    );
    return this.#secret(tenant, true);
  }

  async #loadSecret(tenant: string): Promise<PersonSecret | undefined> {
    const item = await this.#get(tenant, 'secret');
    return item && new PersonSecret(await this.#root.unwrap(item.wrapped!.B!, personSecretContext(tenant)));
  }

  async #get(tenant: string, item: string): Promise<Item | undefined> {
    const answer = await this.#client.send(
      new GetItemCommand({ TableName: this.#table, Key: at(tenant, item), ConsistentRead: true }),
    );
    return answer.Item;
  }

  async #batchGet(tenant: string, refs: readonly string[]): Promise<Item[]> {
    const items: Item[] = [];
    let keys: Item[] = refs.map((ref) => at(tenant, personItem(ref)));
    for (let wait = 50; keys.length > 0; wait *= 2) {
      const answer = await this.#client.send(
        new BatchGetItemCommand({ RequestItems: { [this.#table]: { Keys: keys, ConsistentRead: true } } }),
      );
      items.push(...(answer.Responses?.[this.#table] ?? []));
      keys = answer.UnprocessedKeys?.[this.#table]?.Keys ?? [];
      if (keys.length > 0) await new Promise((done) => setTimeout(done, Math.min(wait, 5000) * Math.random()));
    }
    return items;
  }

  /** False when `only` is `new` and the item is there already, or it names a root and the item has another one by now. */
  async #put(item: Item, only?: 'new' | { readonly rootKey: AttributeValue }): Promise<boolean> {
    const condition =
      only === undefined
        ? {}
        : only === 'new'
          ? { ConditionExpression: 'attribute_not_exists(tenant)' }
          : { ConditionExpression: 'rootKey = :old', ExpressionAttributeValues: { ':old': only.rootKey } };
    try {
      await this.#client.send(new PutItemCommand({ TableName: this.#table, Item: item, ...condition }));
      return true;
    } catch (error) {
      if (error instanceof ConditionalCheckFailedException) return false;
      throw error;
    }
  }

  async #translated<T>(work: () => Promise<T>): Promise<T> {
    try {
      return await work();
    } catch (cause) {
      if (cause instanceof HoldfastError) throw cause;
      const { name, message } = cause as Error;
      const denied = name === 'AccessDeniedException';
      throw new KeyError(
        denied ? 'HF_KEY_DENIED' : 'HF_KEY_UNAVAILABLE',
        `The person keys in table ${this.#table} cannot be ${denied ? 'used by this role' : 'reached'}: ${message || name}.`,
        {
          cause,
          action: denied
            ? "Allow it in the role's policy."
            : 'Check that the table is there, the region and the network, then run it again.',
          details: { table: this.#table, reason: name },
        },
      );
    }
  }
}

const at = (tenant: string, item: string): Item => ({ tenant: { S: tenant }, item: { S: item } });
const personItem = (ref: string): string => `p#${ref}`;
const cacheName = (tenant: string, ref: string): string => `${ref}/${tenant}`;

function unwrapped(secret: PersonSecret, ref: string, item: Item): PersonKey {
  const key = secret.unwrap(ref, item.wrapped!.B!);
  if (key) return { ref, key };
  throw new KeyError('HF_KEY_WRONG', `The key of person ${ref} does not unwrap.`, {
    action: 'The table mixes items of different installations: bring it back from its replica.',
    details: { ref },
  });
}
