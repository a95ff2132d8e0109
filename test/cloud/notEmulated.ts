/**
 * What the emulator cannot run, why, and where it is checked instead. Short on purpose: everything else that the stacks deploy is
 * deployed here as it is.
 */
export interface NotEmulated {
  readonly what: string;
  readonly why: string;
  readonly checked: string;
}

export const NOT_EMULATED: readonly NotEmulated[] = [
  {
    what: 'AWS::KMS::ReplicaKey',
    why: 'CloudFormation of the emulator does not know the type; the keys are replicated by the API call that it stands for',
    checked: 'test/lib/stacks.test.ts: the replica refuses what the primary refuses',
  },
  {
    what: 'encryption, replication and default lock in the template of a bucket',
    why: 'its CloudFormation leaves them out; they are set by the API calls that they stand for, with the values of the template',
    checked: 'test/lib/constructs.test.ts by assertion',
  },
  {
    what: 'conditions on the encryption context in key policies',
    why: 'the emulator enforces no policies unless it is told to, and then knows no kms:EncryptionContext',
    checked:
      'test/lib/constructs.test.ts by assertion; test/support/aws/fakeKms.ts enforces them in test/adapters/kmsKeys.test.ts',
  },
  {
    what: 'policies of buckets and roles as functions call',
    why: 'the same; rights of the deployed roles are asked of the policy simulator instead',
    checked: 'test/lib/rights.test.ts by assertion on every function',
  },
  {
    what: 'TLS to the services, roles of functions of the air-gapped account',
    why: 'it speaks plain HTTP and runs functions as their account; what the bucket demands of both is taken off its policy, after the account was seen to be refused',
    checked: 'test/lib/constructs.test.ts and rights.test.ts by assertion',
  },
  {
    what: 'the copy of the person-key table in the other region',
    why: 'a global table stays in its first region; table and items are copied by API calls before the other region restores',
    checked: 'test/lib/constructs.test.ts by assertion: a replica in each region, none with point-in-time recovery',
  },
  {
    what: '/opt, where layers lie',
    why: 'functions run as processes of this machine; the variables that name files there are pointed at the files',
    checked: 'test/lib/layer.test.ts: what lies in the layer',
  },
  {
    what: 'networks, ARM, concurrency, snapshots of RDS',
    why: 'there is no network, processor or database server to emulate them with',
    checked: 'test/lib by assertion; test/functions runs every state of the snapshot workflow against a strict fake',
  },
];
