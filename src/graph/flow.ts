import type { Graph } from './types.ts';

/** How many inputs each node's output is. */
export function consumersOf(graph: Graph): ReadonlyMap<string, number> {
  const consumers = new Map<string, number>();
  for (const node of graph.nodes) {
    for (const name of node.inputs) consumers.set(name, (consumers.get(name) ?? 0) + 1);
  }
  return consumers;
}

/** Nodes whose output's gradient is wanted: those with trained parameters, and all that follow them. */
export function differentiatedOf(graph: Graph, trained: ReadonlySet<string>): ReadonlySet<string> {
  const differentiated = new Set<string>();
  for (const node of graph.nodes) {
    if (trained.has(node.name) || node.inputs.some((name) => differentiated.has(name))) differentiated.add(node.name);
  }
  return differentiated;
}
