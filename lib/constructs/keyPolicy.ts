import { AnyPrincipal, Effect, PolicyStatement } from 'aws-cdk-lib/aws-iam';

const USES = ['kms:Encrypt', 'kms:Decrypt', 'kms:GenerateDataKey*', 'kms:ReEncrypt*'];

/** Values of `purpose` in the encryption contexts of core/snapshot: nothing else is ever wrapped by the root key. */
export const PURPOSES = ['tenant-key', 'person-keys'];

/** What a root key, and each replica of it, refuses to everybody. */
export function denyWithoutContext(): PolicyStatement[] {
  const deny = (sid: string, conditions: Record<string, unknown>) =>
    new PolicyStatement({
      sid,
      effect: Effect.DENY,
      principals: [new AnyPrincipal()],
      actions: USES,
      resources: ['*'],
      conditions,
    });
  return [
    // A context that is missing does not equal either.
    deny('OnlyForAKnownPurpose', { StringNotEquals: { 'kms:EncryptionContext:purpose': PURPOSES } }),
    deny('OnlyForOneTenant', { Null: { 'kms:EncryptionContext:tenant': 'true' } }),
  ];
}
