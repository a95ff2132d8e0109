/**
 * What a right of the catalogue brings along: the modules that only it needs, and the variables that lead to them. Functions without the
 * right are deployed without either, so that a cold start reads less and nobody finds a name that they have no use for.
 */
import type { HandlerEntry } from './catalogue.ts';

interface Part {
  readonly needed: (handler: HandlerEntry) => boolean;
  /** From the top of the project. functions/environment.ts imports them late, when a variable asks for them. */
  readonly modules: readonly string[];
  readonly variables: readonly string[];
}

const PARTS: readonly Part[] = [
  {
    needed: ({ database }) => database,
    modules: ['adapters/aws/databaseSecret.ts'],
    variables: ['HOST', 'PORT', 'NAME', 'SECRET', 'CA'].map((name) => `HOLDFAST_DATABASE_${name}`),
  },
  {
    needed: ({ store }) => store !== 'none',
    modules: ['adapters/aws/s3Store.ts', 'adapters/aws/s3Replicas.ts'],
    variables: ['HOLDFAST_STORE', 'HOLDFAST_REPLICA'],
  },
  {
    needed: ({ pulls = false }) => pulls,
    modules: [],
    variables: ['HOLDFAST_SOURCE_STORE'],
  },
  {
    needed: ({ keys }) => keys !== 'none',
    modules: ['adapters/aws/kmsKeys.ts'],
    variables: ['HOLDFAST_ROOT_KEY', 'HOLDFAST_FORMER_ROOT_KEYS', 'HOLDFAST_SIGNING_KEYS'],
  },
  {
    needed: ({ persons }) => persons !== 'none',
    modules: ['adapters/aws/personKeyTable.ts'],
    variables: ['HOLDFAST_PERSON_KEYS'],
  },
  {
    needed: ({ sources = false }) => sources,
    modules: ['adapters/aws/s3Files.ts'],
    variables: [],
  },
  {
    needed: ({ once = false }) => once,
    modules: ['functions/remember.ts'],
    variables: ['HOLDFAST_IDEMPOTENCY'],
  },
  {
    needed: ({ actions = [] }) => actions.some((action) => action.startsWith('rds:')),
    modules: ['adapters/aws/rdsSnapshots.ts'],
    variables: ['HOLDFAST_SNAPSHOT_DAYS', 'HOLDFAST_SECONDARY_REGION', 'HOLDFAST_SECONDARY_KEY'],
  },
];

const spare = (handler: HandlerEntry): Part[] => PARTS.filter(({ needed }) => !needed(handler));

/** Modules that this handler never comes to need. */
export const spareModules = (handler: HandlerEntry): string[] => spare(handler).flatMap(({ modules }) => modules);

/** Of all variables of an installation, those that this handler has a use for. */
export function variablesOf(
  handler: HandlerEntry,
  all: Readonly<Record<string, string>>,
): Readonly<Record<string, string>> {
  const without = new Set(spare(handler).flatMap(({ variables }) => variables));
  return Object.fromEntries(Object.entries(all).filter(([name]) => !without.has(name)));
}
