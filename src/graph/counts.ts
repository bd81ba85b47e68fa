import { parametersOf, sizeOf } from './parameters.ts';
import { inferShapes } from './shapes.ts';
import type { Graph } from './types.ts';

export interface Counts {
  /** Multiply-adds of one image's forward pass in convolutions and linear layers; training costs about three times that. */
  readonly macs: number;
  /** Trainable parameters. */
  readonly parameters: number;
  /** Bytes of every tensor of the state, float32, running statistics included. */
  readonly weightBytes: number;
  /** Bytes of one image's outputs of all nodes, float32: what training keeps for its backward pass if nothing is recomputed. */
  readonly activationBytes: number;
  /** Bytes of one image's largest output, float32: times the batch it has to fit the device's binding limit. */
  readonly largestActivationBytes: number;
}

/**
 * What a graph costs for square images of `imageSize` pixels.
 * @throws ImageTooSmallError as inferShapes.
 */
export function countsOf(graph: Graph, imageSize: number): Counts {
  const shapes = inferShapes(graph, imageSize);
  let macs = 0;
  let activationBytes = 0;
  let largestActivationBytes = 0;
  for (const node of graph.nodes) {
    const outputs = sizeOf(shapes.get(node.name) ?? []);
    if (node.op === 'conv2d') macs += outputs * node.kernel * node.kernel * (node.inChannels / node.groups);
    if (node.op === 'linear') macs += outputs * node.inFeatures;
    // A view of its input, no memory of its own.
    if (node.op !== 'flatten') activationBytes += 4 * outputs;
    largestActivationBytes = Math.max(largestActivationBytes, 4 * outputs);
  }
  const specs = parametersOf(graph);
  const total = (of: typeof specs): number => of.reduce((sum, { shape }) => sum + sizeOf(shape), 0);
  return {
    macs,
    parameters: total(specs.filter(({ trainable }) => trainable)),
    weightBytes: 4 * total(specs),
    activationBytes,
    largestActivationBytes,
  };
}
