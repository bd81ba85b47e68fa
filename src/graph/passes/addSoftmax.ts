import type { Graph } from '../types.ts';

/** Makes the graph give probabilities `[N, classes]` in place of logits; the new last node is `probabilities`. */
export function addSoftmax(graph: Graph): Graph {
  const last = graph.nodes.at(-1);
  if (!last || last.op === 'softmax') throw new Error('Softmax goes on a graph that ends in logits.');
  return { ...graph, nodes: [...graph.nodes, { op: 'softmax', name: 'probabilities', inputs: [last.name] }] };
}
