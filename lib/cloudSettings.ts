/** What the app is told: `holdfast:<setting>` in cdk.json, or `-c holdfast:<setting>=…` on the command line. */
import { resolve } from 'node:path';
import { SynthError } from './synthError.ts';

const ROOT = resolve(import.meta.dirname, '..');

/** Each setting and what it must look like. */
const SHAPES = {
  name: /^/, // Installation says more
  account: /^/,
  primaryRegion: /^/,
  secondaryRegion: /^/,
  /** Which wrapping key this is, and which signing key: one more makes a new one. */
  wrappingKeyNumber: /^[1-9]\d{0,3}$/,
  signingKeyNumber: /^[1-9]\d{0,3}$/,
  /** Printed by the key stack. */
  wrappingKeyArn: /^arn:aws[\w-]*:kms:[\w-]+:\d{12}:key\/mrk-\w+$/,
  signingKeyArn: /^arn:aws[\w-]*:kms:[\w-]+:\d{12}:key\/mrk-\w+$/,
  /** Printed by the secondary stack. */
  secondaryVaultKeyArn: /^arn:aws[\w-]*:kms:[\w-]+:\d{12}:key\/[\w-]+$/,
  /** Printed by the primary stack; the air-gapped one reads that bucket. */
  vaultKeyArn: /^arn:aws[\w-]*:kms:[\w-]+:\d{12}:key\/[\w-]+$/,
  /** File of the public keys that the air-gapped account believes, as `holdfast audit public-key` writes it. */
  publicKeys: /^./,
  airGappedAccount: /^\d{12}$/,
  airGappedRegion: /^[a-z]{2}(-[a-z]+)+-\d$/,
  /** Path of holdfast.yaml, from the top of the project. */
  map: /^./,
  /** Customer keys under which buckets of users' files are encrypted. */
  filesKeyArns: /^arn:aws[\w-]*:kms:/,
  lockMode: /^(governance|compliance)$/,
  lockDays: /^\d+$/,
  emails: /^/,
  databaseHost: /^/,
  databasePort: /^\d+$/,
  databaseName: /^./,
  databaseSecretArn: /^/,
  databaseSecretKeyArn: /^arn:aws[\w-]*:kms:/,
  /** Customer key of the database's storage, from under which snapshots are copied. */
  databaseStorageKeyArn: /^arn:aws[\w-]*:kms:/,
  /** PEM file of the authorities that the database's certificate is checked against. */
  databaseCa: /^./,
  databaseInstance: /^[A-Za-z][\w-]{0,62}$/,
  databaseCluster: /^[A-Za-z][\w-]{0,62}$/,
  vpcId: /^vpc-\w+$/,
  availabilityZones: /^[a-z]{2}-/,
  subnetIds: /^subnet-/,
  securityGroupIds: /^sg-/,
  /** `yes`: a stack with an example database. */
  exampleDatabase: /^(yes|no)$/,
} satisfies Record<string, RegExp>;

export type CloudSetting = keyof typeof SHAPES;

/** Settings as they were given; absent where they were not. */
export interface CloudSettings {
  get(name: CloudSetting): string | undefined;
  /** @throws SynthError when it is missing */
  need(name: CloudSetting): string;
  /** Comma-separated. */
  list(name: CloudSetting): string[];
  /** As an absolute path. @throws SynthError when it is missing */
  path(name: CloudSetting): string;
}

/**
 * @param context all context of the app; what does not begin with `holdfast:` is not ours
 * @throws SynthError for a setting that is not known, or one of the wrong shape
 */
export function cloudSettings(context: Readonly<Record<string, unknown>>): CloudSettings {
  const given = new Map<string, string>();
  for (const [key, value] of Object.entries(context)) {
    if (!key.startsWith('holdfast:') || value === '') continue;
    const name = key.slice('holdfast:'.length);
    if (!Object.hasOwn(SHAPES, name)) throw new SynthError(key, `one of ${Object.keys(SHAPES).join(', ')}`, name);
    if (typeof value !== 'string') throw new SynthError(key, 'text', value);
    if (!SHAPES[name as CloudSetting].test(value)) {
      throw new SynthError(key, `text like ${SHAPES[name as CloudSetting].source}`, value);
    }
    given.set(name, value);
  }
  const need = (name: CloudSetting): string => {
    const value = given.get(name);
    if (value === undefined) throw new SynthError(`holdfast:${name}`, 'a value in cdk.json or after -c', undefined);
    return value;
  };
  return {
    get: (name) => given.get(name),
    need,
    list: (name) => (given.get(name) ?? '').split(/\s*,\s*/).filter((item) => item !== ''),
    path: (name) => resolve(ROOT, need(name)),
  };
}
