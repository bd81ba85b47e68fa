import type { Graph, GraphNode, LinearNode } from './types.ts';

/** The node that `graph.head` names: linear, and the last one, as in every training graph. Throws where it is another. */
export function headOf(graph: Graph): LinearNode {
  const head = graph.nodes.at(-1);
  if (head?.op !== 'linear' || head.name !== graph.head)
    throw new Error(`${graph.head} is not the linear layer that ${graph.architecture} ends with.`);
  return head;
}

/** The graph without its head: its output is what the head reads, `[N, headOf(graph).inFeatures]`. */
export function backboneOf(graph: Graph): Graph {
  const head = headOf(graph);
  const nodes = graph.nodes.slice(0, -1);
  const last = nodes.at(-1) as GraphNode;
  if (last.name !== head.inputs[0]) throw new Error(`${graph.head} does not read ${last.name}, the node before it.`);
  return { ...graph, nodes };
}
