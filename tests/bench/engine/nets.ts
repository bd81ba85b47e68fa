import { buildGraph } from '../../../src/architectures/index.ts';
import { graphBuilder } from '../../../src/graph/builder.ts';
import type { Graph } from '../../../src/graph/types.ts';

export const CLASSES = 5;

/** What the benchmark runs, by the name that its rows have. */
export function netOf(name: string): Graph {
  return name === 'four_convolutions' ? fourConvolutions() : buildGraph(name as 'tiny', CLASSES);
}

/** Four 3×3 convolutions with batch norm and ReLU, as one would write a first network by hand: for engines that know no graphs of ours. */
function fourConvolutions(): Graph {
  const net = graphBuilder();
  let x = net.input('input', 3);
  for (const [index, [out, stride]] of (
    [
      [32, 1],
      [64, 2],
      [128, 2],
      [128, 1],
    ] as const
  ).entries()) {
    x = net.conv2d(`conv${index}`, x, out, { kernel: 3, stride });
    x = net.batchNorm2d(`norm${index}`, x);
    x = net.activation(`relu${index}`, x, 'relu');
  }
  const features = x;
  x = net.flatten('flatten', net.globalAvgPool('pool', x));
  net.linear('classifier', x, CLASSES);
  return net.finish({ architecture: 'four_convolutions', classes: CLASSES, head: 'classifier', features });
}

/** Weights of the size that torch begins with, by a formula: how long a step takes doesn't depend on them. */
export function valuesOf(shape: readonly number[], kind: string): Float32Array {
  const size = shape.reduce((product, extent) => product * extent, 1);
  if (kind === 'running_mean' || kind === 'bias') return new Float32Array(size);
  if (shape.length === 1) return new Float32Array(size).fill(1);
  const scale = Math.sqrt(6 / (size / shape[0]!));
  return Float32Array.from({ length: size }, (_, i) => Math.sin(i * 12.9898) * scale);
}

/** `[n, size, size, 3]`. */
export function imagesOf(n: number, size: number): Float32Array {
  return Float32Array.from({ length: n * size * size * 3 }, (_, i) => Math.sin(i * 12.9898) * 2);
}
