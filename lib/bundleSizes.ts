import type { IConstruct } from 'constructs';

/** Bytes of each bundled function below `root`, largest first, by its path in the tree. A cold start reads all of them. */
export function bundleSizes(root: IConstruct): [path: string, bytes: number][] {
  return root.node
    .findAll()
    .flatMap((construct) =>
      construct.node.metadata
        .filter(({ type }) => type === 'bundle-bytes')
        .map(({ data }): [string, number] => [construct.node.path, data as number]),
    )
    .sort((a, b) => b[1] - a[1]);
}
