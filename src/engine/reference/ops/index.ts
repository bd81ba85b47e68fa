import type { GraphNode } from '../../../graph/types.ts';
import { activation } from './activation.ts';
import { batchNorm2d } from './batchNorm.ts';
import { conv2d } from './conv2d.ts';
import { channelAffine, dropout, input, linear, softmax } from './dense.ts';
import { avgPool2d, globalAvgPool, maxPool2d } from './pooling.ts';
import { add, concat, flatten, mul } from './structure.ts';
import type { Forward } from './types.ts';

/** Apart from the backward steps: whoever only predicts doesn't bring them along. */
const table: { readonly [K in GraphNode['op']]: Forward<Extract<GraphNode, { op: K }>> } = {
  input,
  conv2d,
  batchNorm2d,
  activation,
  maxPool2d,
  avgPool2d,
  globalAvgPool,
  flatten,
  linear,
  add,
  mul,
  concat,
  dropout,
  softmax,
  channelAffine,
};

export function forwardOf(node: GraphNode): Forward<GraphNode> {
  return table[node.op] as Forward<GraphNode>;
}
