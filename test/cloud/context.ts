/** A context on what was deployed, made like that of a function, for the parts that a person does and for checking. */
import { KmsKeys } from '../../adapters/aws/kmsKeys.ts';
import { PersonKeyTable } from '../../adapters/aws/personKeyTable.ts';
import { S3Store } from '../../adapters/aws/s3Store.ts';
import { noLedger } from '../../adapters/local/noLedger.ts';
import { systemClock } from '../../adapters/local/systemClock.ts';
import type { Context } from '../../core/context.ts';
import { silentProgress } from '../../core/ports.ts';
import { sampleMap } from '../../sample/map.ts';
import { type CloudWorld, PRIMARY, type SECONDARY } from './world.ts';

export const PERSON_KEYS = 'holdfast-person-keys';

/** @param region of the bucket and of the keys: in the other one, the copy and the replicas of the keys */
export function contextIn(world: CloudWorld, region: typeof PRIMARY | typeof SECONDARY): Context {
  const bucket = region === PRIMARY ? world.primary.vaultName : world.secondary.vaultName;
  const arn = (key: string | undefined) => key!.replace(`:${PRIMARY}:`, `:${region}:`);
  const keys = new KmsKeys({
    rootKey: arn(world.keys.wrappingKeyArn),
    signingKeys: [arn(world.keys.signingKeyArn)],
    config: { region },
  });
  return {
    databaseUrl: world.databaseUrl,
    map: sampleMap(),
    store: S3Store.open(`s3://${bucket}/`, { region, forcePathStyle: true }),
    keys,
    persons: new PersonKeyTable({ table: PERSON_KEYS, keys, config: { region } }),
    ledger: noLedger,
    clock: systemClock,
    progress: silentProgress,
  };
}
