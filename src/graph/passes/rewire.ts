import type { Graph, GraphNode } from '../types.ts';

/** Input names of a node through a map of replaced names. */
export function withInputs<N extends GraphNode>(node: N, replaced: ReadonlyMap<string, string>): N {
  if (!node.inputs.some((name) => replaced.has(name))) return node;
  return { ...node, inputs: node.inputs.map((name) => replaced.get(name) ?? name) };
}

/** Takes nodes with one input out of the graph; what read them reads their input. */
export function without(graph: Graph, isRemoved: (node: GraphNode) => boolean): Graph {
  const replaced = new Map<string, string>();
  const nodes: GraphNode[] = [];
  for (const original of graph.nodes) {
    const node = withInputs(original, replaced);
    if (isRemoved(node)) replaced.set(node.name, node.inputs[0] as string);
    else nodes.push(node);
  }
  return { ...graph, nodes, features: replaced.get(graph.features) ?? graph.features };
}
