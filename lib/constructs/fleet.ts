import { Stack } from 'aws-cdk-lib';
import { PolicyStatement } from 'aws-cdk-lib/aws-iam';
import { Construct } from 'constructs';
import type { HandlerEntry, WorkflowEntry } from '../../functions/catalogue.ts';
import { spareModules, variablesOf } from '../../functions/parts.ts';
import { prepareBundles } from '../bundle.ts';
import { SynthError } from '../synthError.ts';
import { grantCredentials, type ProtectedDatabase } from './database.ts';
import { type FileBuckets, grantFiles } from './fileBuckets.ts';
import { Handler } from './handler.ts';
import type { IdempotencyTable } from './idempotencyTable.ts';
import { grantKeyAges, grantKeySign, grantKeyUse, type RootKeyArns } from './keyRights.ts';
import type { MapLayer } from './mapLayer.ts';
import type { Notifications } from './notifications.ts';
import { grantLookup, grantObtain } from './personKeyTable.ts';
import type { Vault } from './vault.ts';
import { Workflow } from './workflow.ts';

/** What the functions of a region work with. What is absent, no function may ask for in the catalogue. */
export interface FleetProps {
  /** Of the catalogue: those to be made. */
  readonly workflows: readonly WorkflowEntry[];
  /** Begins the names of state machines: `<name>-<workflow>`. */
  readonly name: string;
  /** Where their functions read and write backups. */
  readonly vault: Vault;
  /** holdfast.yaml, as the functions find it. */
  readonly map: MapLayer;
  /** Hears what workflows tell. */
  readonly notifications: Notifications;
  /** Of handlers that are to be called once. @default none */
  readonly idempotency?: IdempotencyTable;
  /** Each function is given those that its rights have a use for. */
  readonly environment: Readonly<Record<string, string>>;
  /** Of handlers with a right to keys. @default none */
  readonly keys?: RootKeyArns;
  /** Of the table of person keys. @default none */
  readonly personTableArn?: string;
  /** Of handlers that speak to it. @default none */
  readonly database?: ProtectedDatabase;
  /** What only the functions may read that copy users' files. @default none */
  readonly files?: FileBuckets;
  /** Values of definitions beside `topic`, by name. @default none */
  readonly values?: Readonly<Record<string, string>>;
  /**
   * On which resources the further actions of a workflow and its handlers are allowed, by how the action begins; the longest that fits
   * counts, so `rds:Describe` goes before `rds:`. @default none
   */
  readonly resources?: Readonly<Record<string, readonly string[]>>;
  /** Fixed names of roles, by handler. @default made by CloudFormation */
  readonly roleName?: (handler: string) => string;
}

/** A state machine for each workflow of the catalogue and a function for each handler, with the rights that the catalogue names and no others. */
export class Fleet extends Construct {
  readonly workflows: Readonly<Record<string, Workflow>>;
  /** By entry, e.g. `functions/backup/plan.ts`; a handler that two workflows name is one function. */
  readonly handlers: ReadonlyMap<string, Handler>;
  readonly #props: FleetProps;

  /** @throws SynthError when a handler or a definition needs what was not given */
  constructor(scope: Construct, id: string, props: FleetProps) {
    super(scope, id);
    this.#props = props;
    if (Stack.of(this).bundlingRequired) {
      prepareBundles(props.workflows.flatMap((workflow) => Object.values(workflow.handlers).map(({ entry }) => entry)));
    }
    const handlers = new Map<string, Handler>();
    const workflows: Record<string, Workflow> = {};
    for (const workflow of props.workflows) {
      const own: Record<string, Handler> = {};
      for (const [name, entry] of Object.entries(workflow.handlers)) {
        own[name] = handlers.get(entry.entry) ?? this.#handler(name, entry);
        handlers.set(entry.entry, own[name]);
      }
      workflows[workflow.name] = this.#workflow(workflow, own);
    }
    this.handlers = handlers;
    this.workflows = workflows;
  }

  #handler(name: string, entry: HandlerEntry): Handler {
    const { vault, map, idempotency, database, keys, personTableArn, files } = this.#props;
    const need = <T>(what: T | undefined, prop: string): T => {
      if (what === undefined) throw new SynthError(prop, `what ${entry.entry} needs by the catalogue`, undefined);
      return what;
    };
    const network = entry.database ? need(database, 'database').network : undefined;
    const handler = new Handler(this, idOf(entry.entry), {
      entry: entry.entry,
      without: spareModules(entry),
      environment: variablesOf(entry, this.#props.environment),
      layers: [map.layer],
      memory: entry.memory,
      timeout: entry.seconds,
      ...(entry.disk === undefined ? {} : { disk: entry.disk }),
      ...(entry.concurrency === undefined ? {} : { concurrency: entry.concurrency }),
      ...(network ? { network } : {}),
      ...(this.#props.roleName ? { roleName: this.#props.roleName(name) } : {}),
    });
    const grantee = handler.function;
    if (entry.once) need(idempotency, 'idempotency').grantUse(grantee);
    if (entry.database) grantCredentials(handler, database!);
    if (entry.sources) grantFiles(handler, need(files, 'files'));
    if (entry.store === 'read') vault.grantRead(grantee);
    if (entry.store === 'write') vault.grantWrite(grantee);
    if (entry.store === 'delete') vault.grantExpire(grantee);
    if (entry.keys === 'ages') grantKeyAges(grantee, need(keys, 'keys'));
    if (entry.keys === 'use') grantKeyUse(grantee, need(keys, 'keys'));
    if (entry.keys === 'sign') grantKeySign(grantee, need(keys, 'keys'));
    if (entry.persons === 'read') grantLookup(grantee, need(personTableArn, 'personTableArn'));
    if (entry.persons === 'write') grantObtain(grantee, need(personTableArn, 'personTableArn'));
    for (const statement of this.#further(entry.entry, entry.actions)) grantee.addToRolePolicy(statement);
    return handler;
  }

  #workflow(entry: WorkflowEntry, handlers: Readonly<Record<string, Handler>>): Workflow {
    const { notifications } = this.#props;
    const known: Record<string, string> = { topic: notifications.topic.topicArn, ...this.#props.values };
    const values: Record<string, string> = {};
    for (const name of entry.values) {
      const value = known[name];
      if (value === undefined) throw new SynthError(`values.${name}`, `what ${entry.name}.asl.json names`, undefined);
      values[name] = value;
    }
    const workflow = new Workflow(this, entry.name, {
      name: entry.name,
      stateMachineName: `${this.#props.name}-${entry.name}`,
      handlers,
      values,
    });
    const own = (entry.actions ?? []).filter((action) => action !== 'sns:Publish');
    if (own.length !== (entry.actions ?? []).length) notifications.grantPublish(workflow.stateMachine);
    for (const statement of this.#further(entry.name, own)) workflow.stateMachine.addToRolePolicy(statement);
    return workflow;
  }

  /** Each of the actions on its resources. */
  #further(who: string, actions: readonly string[] = []): PolicyStatement[] {
    const resources = this.#props.resources ?? {};
    const byBeginning = Map.groupBy(actions, (action) => {
      const fitting = Object.keys(resources).filter((beginning) => action.startsWith(beginning));
      const longest = fitting.sort((a, b) => b.length - a.length)[0];
      if (longest === undefined) throw new SynthError('resources', `those on which ${who} may ${action}`, undefined);
      return longest;
    });
    return [...byBeginning].map(
      ([beginning, own]) => new PolicyStatement({ actions: own, resources: [...resources[beginning]!] }),
    );
  }
}

/** `functions/backup/plan.ts` as `backup-plan`. */
const idOf = (entry: string): string =>
  entry
    .replace(/^functions\//, '')
    .replace(/\.ts$/, '')
    .replaceAll('/', '-');
