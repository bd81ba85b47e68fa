import type { Graph, GraphNode, ParameterSpec } from './types.ts';

/**
 * Parameters and running statistics in the order of torchvision's `state_dict`, without `num_batches_tracked`. Shapes are
 * torch's: convolution `[out, in/groups, kH, kW]`, linear `[out, in]`, batch norm `[C]`.
 */
export function parametersOf(graph: Graph): ParameterSpec[] {
  return graph.nodes.flatMap(parametersOfNode);
}

/** The same for one node; empty for one without parameters. */
export function parametersOfNode(node: GraphNode): ParameterSpec[] {
  const spec = (kind: ParameterSpec['kind'], ...shape: number[]): ParameterSpec => ({
    name: `${node.name}.${kind}`,
    shape,
    node: node.name,
    kind,
    trainable: kind === 'weight' || kind === 'bias',
  });
  switch (node.op) {
    case 'conv2d': {
      const weight = spec('weight', node.outChannels, node.inChannels / node.groups, node.kernel, node.kernel);
      return node.bias ? [weight, spec('bias', node.outChannels)] : [weight];
    }
    case 'linear': {
      const weight = spec('weight', node.outFeatures, node.inFeatures);
      return node.bias ? [weight, spec('bias', node.outFeatures)] : [weight];
    }
    case 'batchNorm2d':
      return (['weight', 'bias', 'running_mean', 'running_var'] as const).map((kind) => spec(kind, node.channels));
    default:
      return [];
  }
}

/** Number of values in a tensor of this shape. */
export function sizeOf(shape: readonly number[]): number {
  return shape.reduce((product, extent) => product * extent, 1);
}
