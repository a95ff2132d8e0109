/** The keys that holdfast.yaml names: a key file and a directory, or KMS and a table. The AWS SDK is loaded only when it is used. */
import { KeyFile } from '../adapters/local/keyFile.ts';
import { openPersonKeys } from '../adapters/local/personKeyDirectory.ts';
import type { KmsSetting } from '../core/datamap/keySettings.ts';
import type { Settings } from '../core/datamap/settings.ts';
import { ConfigError } from '../core/errors.ts';
import type { KeyService, ObjectStore, PersonKeyStore } from '../core/ports.ts';

/** Each way of keeping the secrets of person keys can wrap them with another root. */
export interface RewrappablePersonKeys extends PersonKeyStore {
  /** @returns how many secrets were wrapped now */
  rewrap(): Promise<number>;
}

/** @throws KeyError HF_KEY_FILE_MISSING, HF_KEY_FILE_MODE, HF_KEY_FILE_MALFORMED; ConfigError HF_KMS_KEY_ARN */
export async function openKeyService({ kms, keys }: Pick<Settings, 'kms' | 'keys'>): Promise<KeyService> {
  return kms ? openKms(kms) : KeyFile.open(keys);
}

async function openKms({ root, signing, former }: KmsSetting): Promise<KeyService> {
  const { KmsKeys } = await import('../adapters/aws/kmsKeys.ts');
  const [, region] = /^arn:[^:]*:kms:([^:]+):/.exec(root) ?? [];
  return new KmsKeys({ rootKey: root, signingKeys: signing, formerRootKeys: former, config: region ? { region } : {} });
}

const DYNAMO = /^dynamodb:\/\/([\w.-]{3,255})(?:\?region=([\w-]+))?$/;

export const inDynamo = (place: string): boolean => place.startsWith('dynamodb:');

/** @throws ConfigError HF_PERSON_KEYS_IN_STORE, HF_PERSON_KEYS_URL */
export async function openPersons(
  { personKeys }: Pick<Settings, 'personKeys'>,
  store: ObjectStore,
  keys: KeyService,
): Promise<RewrappablePersonKeys> {
  if (!inDynamo(personKeys)) return openPersonKeys(personKeys, store, keys);
  const [, table, region] = DYNAMO.exec(personKeys) ?? [];
  if (table === undefined) {
    throw new ConfigError('HF_PERSON_KEYS_URL', `${JSON.stringify(personKeys)} does not name a table.`, {
      action: 'Write it as dynamodb://table, or dynamodb://table?region=name.',
      details: { got: personKeys },
    });
  }
  const { PersonKeyTable } = await import('../adapters/aws/personKeyTable.ts');
  return new PersonKeyTable({ table, keys, config: region ? { region } : {} });
}
