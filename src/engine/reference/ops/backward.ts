import type { GraphNode } from '../../../graph/types.ts';
import { activationBackward } from './activation.ts';
import { batchNorm2dBackward } from './batchNorm.ts';
import { conv2dBackward } from './conv2d.ts';
import { dropoutBackward, linearBackward } from './dense.ts';
import { avgPool2dBackward, globalAvgPoolBackward, maxPool2dBackward } from './pooling.ts';
import { addBackward, concatBackward, flattenBackward, mulBackward } from './structure.ts';
import type { Backward } from './types.ts';

const table: { readonly [K in GraphNode['op']]?: Backward<Extract<GraphNode, { op: K }>> } = {
  conv2d: conv2dBackward,
  batchNorm2d: batchNorm2dBackward,
  activation: activationBackward,
  maxPool2d: maxPool2dBackward,
  avgPool2d: avgPool2dBackward,
  globalAvgPool: globalAvgPoolBackward,
  flatten: flattenBackward,
  linear: linearBackward,
  add: addBackward,
  mul: mulBackward,
  concat: concatBackward,
  dropout: dropoutBackward,
};

/** Undefined for nodes of export graphs, and for the input. */
export function backwardOf(node: GraphNode): Backward<GraphNode> | undefined {
  return table[node.op] as Backward<GraphNode> | undefined;
}
