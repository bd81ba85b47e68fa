import type { Graph } from './types.ts';

/** What the batch norms add to a variance; all of a network have the same. Null where there are none. */
export function batchNormEpsOf(graph: Graph): number | null {
  const found = new Set(graph.nodes.flatMap((node) => (node.op === 'batchNorm2d' ? [node.eps] : [])));
  if (found.size > 1) throw new Error(`${graph.architecture}: its batch norms have different eps`);
  return found.values().next().value ?? null;
}

/** The same network with another eps: weights that were trained with one are right with that one alone. Null: its own. */
export function withBatchNormEps(graph: Graph, eps: number | null | undefined): Graph {
  if (eps == null) return graph;
  return { ...graph, nodes: graph.nodes.map((node) => (node.op === 'batchNorm2d' ? { ...node, eps } : node)) };
}
