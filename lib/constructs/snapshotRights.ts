import { Stack } from 'aws-cdk-lib';
import type { Construct } from 'constructs';
import type { Installation } from '../installation.ts';
import type { ProtectedDatabase } from './database.ts';

/** What the workflow of snapshots may touch: one database, and snapshots that begin with the workflow's own word, here and in the other region. */
export function snapshotResources(
  scope: Construct,
  { primaryRegion, secondaryRegion }: Installation,
  { kind, identifier }: NonNullable<ProtectedDatabase['snapshots']>,
): string[] {
  const stack = Stack.of(scope);
  const rds = (region: string, type: string, name: string) =>
    `arn:${stack.partition}:rds:${region}:${stack.account}:${type}:${name}`;
  const snapshot = kind === 'cluster' ? 'cluster-snapshot' : 'snapshot';
  const regions = [primaryRegion, ...(secondaryRegion === undefined ? [] : [secondaryRegion])];
  return [
    rds(primaryRegion, kind === 'cluster' ? 'cluster' : 'db', identifier),
    ...regions.map((region) => rds(region, snapshot, 'holdfast-*')),
  ];
}
