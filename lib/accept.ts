import { AspectPriority, Aspects, CfnResource } from 'aws-cdk-lib';
import type { IConstruct } from 'constructs';

/** A rule of the template checks (cdk-nag), and why it does not hold here. */
export interface Accepted {
  /** E.g. `AwsSolutions-IAM5`. */
  readonly id: string;
  /** A sentence, for an auditor. */
  readonly reason: string;
}

/**
 * Writes into the template which findings are accepted below `scope`, and why: in the metadata that cdk-nag reads, so that the library
 * does not depend on it. Resources that are made later, such as the policies that grants add to, get them too.
 *
 * @param types CloudFormation types that it is about; others below `scope` are still checked
 */
export function accept(scope: IConstruct, types: readonly string[], accepted: readonly Accepted[]): void {
  Aspects.of(scope).add(
    {
      visit(node) {
        if (!(node instanceof CfnResource) || !types.includes(node.cfnResourceType)) return;
        const known = (node.getMetadata('cdk_nag')?.rules_to_suppress ?? []) as object[];
        node.addMetadata('cdk_nag', { rules_to_suppress: [...known, ...accepted.map((one) => ({ ...one }))] });
      },
    },
    { priority: AspectPriority.MUTATING },
  );
}
