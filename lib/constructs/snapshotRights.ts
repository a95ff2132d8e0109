import { Stack } from 'aws-cdk-lib';
import { PolicyStatement } from 'aws-cdk-lib/aws-iam';
import type { Construct } from 'constructs';
import type { ProtectedDatabase } from './database.ts';
import type { Handler } from './handler.ts';

/**
 * What the workflow of snapshots may touch: one database, and snapshots that begin with the workflow's own word, here and in the other
 * region. Only looking knows no narrower resource than all snapshots: RDS lists them all or not at all.
 */
export function snapshotResources(
  scope: Construct,
  { kind, identifier }: NonNullable<ProtectedDatabase['snapshots']>,
  otherRegion: string | undefined,
): Record<'rds:' | 'rds:Describe', string[]> {
  const stack = Stack.of(scope);
  const rds = (region: string, type: string, name: string) =>
    `arn:${stack.partition}:rds:${region}:${stack.account}:${type}:${name}`;
  const [database, snapshot] = kind === 'cluster' ? ['cluster', 'cluster-snapshot'] : ['db', 'snapshot'];
  const regions = [stack.region, ...(otherRegion === undefined ? [] : [otherRegion])];
  return {
    'rds:': [rds(stack.region, database, identifier), ...regions.map((region) => rds(region, snapshot, 'holdfast-*'))],
    'rds:Describe': regions.flatMap((region) => [rds(region, database, '*'), rds(region, snapshot, '*')]),
  };
}

/** To have RDS copy a snapshot from under one key to under another. RDS is given the keys for as long as it copies, nobody else. */
export function grantSnapshotKeys({ function: grantee }: Handler, keyArns: readonly string[]): void {
  if (keyArns.length === 0) return;
  grantee.addToRolePolicy(new PolicyStatement({ actions: ['kms:DescribeKey'], resources: [...keyArns] }));
  grantee.addToRolePolicy(
    new PolicyStatement({
      actions: ['kms:CreateGrant'],
      resources: [...keyArns],
      conditions: { Bool: { 'kms:GrantIsForAWSResource': 'true' } },
    }),
  );
}
