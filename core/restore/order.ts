/** The order of tables: strongly connected components over foreign keys, parents first. Pure. */

/** Tarjan's algorithm. `parents(n)` are the nodes that n points at; each component comes after all that it points at. */
export function components<T>(nodes: readonly T[], parents: (node: T) => Iterable<T>): T[][] {
  const index = new Map<T, number>();
  const low = new Map<T, number>();
  const stack: T[] = [];
  const onStack = new Set<T>();
  const result: T[][] = [];

  const visit = (node: T): void => {
    index.set(node, index.size);
    low.set(node, index.get(node)!);
    stack.push(node);
    onStack.add(node);
    for (const next of parents(node)) {
      if (!index.has(next)) {
        visit(next);
        low.set(node, Math.min(low.get(node)!, low.get(next)!));
      } else if (onStack.has(next)) {
        low.set(node, Math.min(low.get(node)!, index.get(next)!));
      }
    }
    if (low.get(node) !== index.get(node)) return;
    const component: T[] = [];
    for (let member: T | undefined; member !== node; ) {
      member = stack.pop()!;
      onStack.delete(member);
      component.push(member);
    }
    result.push(component.reverse());
  };

  for (const node of nodes) if (!index.has(node)) visit(node);
  return result;
}
