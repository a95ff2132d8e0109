/** Names of KMS keys that outlive a region. */
import { ConfigError } from '../../core/errors.ts';

const ARN = /^arn:aws[\w-]*:kms:([\w-]+):(\d{12}):key\/([\w-]+)$/;

/**
 * `kms:<account>:<key>` for a multi-region key, whose replicas share that name; with the region for any other. It is stored in
 * what the key wrapped, so it must be the same wherever that is read.
 * @throws ConfigError HF_KMS_KEY_ARN: an alias may be pointed elsewhere, so it names nothing for ever
 */
export function keyId(arn: string): string {
  const [, region, account, key] = ARN.exec(arn) ?? [];
  if (key === undefined) {
    throw new ConfigError('HF_KMS_KEY_ARN', `${JSON.stringify(arn)} is not the ARN of a KMS key.`, {
      action: 'Give arn:aws:kms:<region>:<account>:key/<id>; not an alias.',
      details: { got: arn },
    });
  }
  return key.startsWith('mrk-') ? `kms:${account}:${key}` : `kms:${region}:${account}:${key}`;
}
