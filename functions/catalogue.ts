/**
 * Every workflow, its handlers, and what each handler may touch. Plain data and the one source of truth: the stacks make functions and
 * their rights out of it, the local runner finds the modules by it, and `npm run check` holds the definitions against it.
 */
import { ConfigError } from '../core/errors.ts';

/** What a handler may do in the store: `write` adds objects and reads; `delete` removes what retention gives up, and reads. */
export type StoreRight = 'none' | 'read' | 'write' | 'delete';
/** `ages`: ask how old they are. `use`: wrap, unwrap, verify. `sign`: the same as `use`, and sign. */
export type KeyRight = 'none' | 'ages' | 'use' | 'sign';
/** `write`: keys are made for persons who have none yet. */
export type PersonRight = 'none' | 'read' | 'write';

export interface HandlerEntry {
  /** Module, from the top of the project. It exports `work`, the task, and `handler`, which loads the same for Lambda. */
  readonly entry: string;
  /** Runs in the database's network and may read its secret. */
  readonly database: boolean;
  readonly store: StoreRight;
  readonly keys: KeyRight;
  readonly persons: PersonRight;
  /** Reads users' files in their buckets. @default false */
  readonly sources?: boolean;
  /** Reads the store of the main account, in the air-gapped one. @default false */
  readonly pulls?: boolean;
  /** Longest that one call takes; Lambda allows 900. */
  readonly seconds: number;
  /** MiB */
  readonly memory: number;
  /** MiB of temporary files. @default 512 */
  readonly disk?: number;
  /** How many run at once, to spare the database. @default as many as the account allows */
  readonly concurrency?: number;
  /** The same input always has the same answer: a second call is answered from what is remembered. @default false */
  readonly once?: boolean;
  /** Further actions of IAM that it needs; on which resources is for the stack to say. */
  readonly actions?: readonly string[];
}

export interface WorkflowEntry {
  /** Folder under `functions/`; the definition is `<name>/<name>.asl.json` in it. */
  readonly name: string;
  /** By the name that the definition writes as `${name}`. */
  readonly handlers: Readonly<Record<string, HandlerEntry>>;
  /** The other `${…}` of the definition: ARNs and ids that the stack fills in. */
  readonly values: readonly string[];
  /** Actions that the definition itself calls, with no handler between. */
  readonly actions?: readonly string[];
  /**
   * Where it runs, when that is not beside the database: `secondary` is the region of the copies, `air-gapped` the account that pulls
   * them. @default the region of the database
   */
  readonly place?: 'secondary' | 'air-gapped';
}

type Rights = Partial<Omit<HandlerEntry, 'entry'>>;

const LEAST = { database: false, store: 'none', keys: 'none', persons: 'none', seconds: 60, memory: 512 } as const;
const handler = (entry: string, rights: Rights): HandlerEntry =>
  Object.freeze({ ...LEAST, ...rights, entry: `functions/${entry}.ts` });

/** Each step that writes to a backup signs what it wrote: what lies in the store is not trusted otherwise. */
const MAKING = { database: true, store: 'write', keys: 'sign', persons: 'write' } as const;
const READING = { store: 'read', keys: 'use', persons: 'read' } as const;

/** Keeps what became of a failed execution in the catalog. */
const record = handler('record', { database: true });
/** The same, and lets go of the backup that the execution had begun. */
const abandon = handler('backup/record', { database: true, store: 'read', keys: 'use' });
/** Where there is no catalog: keeps it in the store. */
const recordHere = handler('air-gap/record', { store: 'write' });

export const WORKFLOWS: readonly WorkflowEntry[] = Object.freeze([
  {
    name: 'backup',
    handlers: {
      check: handler('backup/check', { database: true, store: 'write', keys: 'sign', memory: 512 }),
      plan: handler('backup/plan', { database: true, store: 'write', keys: 'sign', seconds: 900, memory: 1024 }),
      copy: handler('backup/copy', { ...MAKING, seconds: 900, memory: 2048, disk: 2048, concurrency: 16 }),
      finish: handler('backup/finish', { ...MAKING, seconds: 900, memory: 2048, once: true }),
      verify: handler('backup/verify', { ...READING, seconds: 900, memory: 1024 }),
      replicate: handler('backup/replicate', { store: 'read', keys: 'use', seconds: 900 }),
      prove: handler('backup/prove', {
        ...READING,
        database: true,
        store: 'write',
        keys: 'sign',
        seconds: 900,
        memory: 2048,
        disk: 2048,
        concurrency: 2,
      }),
      summarise: handler('backup/summarise', { store: 'read', keys: 'use' }),
      record: abandon,
    },
    values: ['topic'],
    actions: ['sns:Publish'],
  },
  {
    name: 'log-backup',
    handlers: {
      maintain: handler('log-backup/maintain', { database: true }),
      archive: handler('log-backup/archive', { ...MAKING, seconds: 900, memory: 1024, concurrency: 4, once: true }),
      replicate: handler('backup/replicate', { store: 'read', keys: 'use', seconds: 900 }),
      record: abandon,
    },
    values: ['topic'],
    actions: ['sns:Publish'],
  },
  {
    name: 'restore',
    handlers: {
      load: handler('restore/load', { ...READING, database: true, seconds: 900, memory: 2048, disk: 2048 }),
      apply: handler('restore/apply', {
        ...READING,
        database: true,
        seconds: 900,
        memory: 2048,
        disk: 2048,
        concurrency: 4,
        once: true,
      }),
      record,
    },
    values: ['topic'],
    actions: ['sns:Publish'],
  },
  {
    name: 'snapshot',
    handlers: {
      copy: handler('snapshot/copy', {
        actions: [
          'rds:CopyDBSnapshot',
          'rds:CopyDBClusterSnapshot',
          'rds:DescribeDBSnapshots',
          'rds:DescribeDBClusterSnapshots',
          'rds:AddTagsToResource',
        ],
      }),
      retain: handler('snapshot/retain', {
        seconds: 300,
        actions: [
          'rds:DescribeDBSnapshots',
          'rds:DescribeDBClusterSnapshots',
          'rds:DeleteDBSnapshot',
          'rds:DeleteDBClusterSnapshot',
        ],
      }),
      record,
    },
    values: ['topic', 'database', 'databaseKind'],
    actions: [
      'sns:Publish',
      'rds:CreateDBSnapshot',
      'rds:CreateDBClusterSnapshot',
      'rds:DescribeDBSnapshots',
      'rds:DescribeDBClusterSnapshots',
      'rds:AddTagsToResource',
    ],
  },
  {
    name: 'cleanup',
    handlers: {
      expire: handler('cleanup/expire', { database: true, store: 'delete', keys: 'use', seconds: 900, memory: 1024 }),
      prune: handler('cleanup/prune', { database: true, store: 'read', keys: 'sign', seconds: 300 }),
      keys: handler('cleanup/keys', { keys: 'ages' }),
      files: handler('cleanup/files', { database: true, store: 'delete', keys: 'use', seconds: 900, memory: 3008 }),
      record,
    },
    values: ['topic'],
    actions: ['sns:Publish'],
  },
  {
    name: 'retention',
    handlers: {
      expire: handler('retention/expire', { store: 'delete', keys: 'use', seconds: 900, memory: 1024 }),
      record: recordHere,
    },
    values: ['topic'],
    actions: ['sns:Publish'],
    place: 'secondary',
  },
  {
    name: 'integrity-check',
    handlers: {
      list: handler('integrity-check/list', { store: 'write', keys: 'use', seconds: 900, memory: 1024 }),
      validate: handler('integrity-check/validate', { ...READING, store: 'write', seconds: 900, memory: 1769 }),
      trail: handler('integrity-check/trail', {
        database: true,
        store: 'read',
        keys: 'use',
        seconds: 900,
        memory: 1024,
        concurrency: 1,
      }),
      judge: handler('integrity-check/judge', { database: true }),
      record,
    },
    values: ['topic'],
    actions: ['sns:Publish'],
  },
  {
    name: 'air-gap',
    handlers: {
      list: handler('air-gap/list', { pulls: true, store: 'write', keys: 'none', seconds: 900, memory: 1024 }),
      pull: handler('air-gap/pull', { pulls: true, store: 'write', keys: 'none', seconds: 900, memory: 1024 }),
      seal: handler('air-gap/seal', {
        pulls: true,
        store: 'write',
        keys: 'none',
        seconds: 900,
        memory: 1024,
        actions: ['s3:GetObjectRetention'],
      }),
      record: recordHere,
    },
    values: ['topic'],
    actions: ['sns:Publish'],
    place: 'air-gapped',
  },
  {
    name: 'files',
    handlers: {
      plan: handler('files/plan', { database: true, store: 'write', keys: 'sign', seconds: 900, memory: 1024 }),
      copy: handler('files/copy', {
        ...MAKING,
        sources: true,
        seconds: 900,
        memory: 2048,
        concurrency: 8,
      }),
      finish: handler('files/finish', { database: true, store: 'write', keys: 'sign', seconds: 900, memory: 2048 }),
      verify: handler('files/verify', { store: 'read', keys: 'use', seconds: 900, memory: 1024 }),
      replicate: handler('files/replicate', { store: 'read', keys: 'use', seconds: 900, memory: 1024 }),
      summarise: handler('files/summarise', { store: 'read', keys: 'use', memory: 1024 }),
      record: handler('files/record', { database: true }),
    },
    values: ['topic'],
    actions: ['sns:Publish'],
  },
  {
    name: 'config-backup',
    handlers: {
      collect: handler('config-backup/collect', { database: true, store: 'write', keys: 'sign', seconds: 120 }),
      verify: handler('config-backup/verify', { store: 'read', keys: 'use' }),
      record,
    },
    values: ['topic'],
    actions: ['sns:Publish'],
  },
  {
    name: 'watch',
    handlers: {
      watch: handler('watch/watch', { database: true, seconds: 300 }),
      record,
    },
    values: ['topic'],
    actions: ['sns:Publish'],
  },
]);

/** @throws ConfigError HF_WORKFLOW_UNKNOWN */
export function workflowEntry(name: string): WorkflowEntry {
  const found = WORKFLOWS.find((workflow) => workflow.name === name);
  if (found) return found;
  throw new ConfigError('HF_WORKFLOW_UNKNOWN', `There is no workflow ${name}.`, {
    action: `Use one of ${WORKFLOWS.map((workflow) => workflow.name).join(', ')}.`,
    details: { workflow: name },
  });
}
