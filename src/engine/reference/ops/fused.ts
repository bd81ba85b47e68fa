import * as tf from '@tensorflow/tfjs';
import { isDepthwise } from '../../../graph/convolution.ts';
import type { GlobalAvgPoolNode, GraphNode } from '../../../graph/types.ts';
import type { FusedConv2dNode } from '../fuse.ts';
import { conv2d } from './conv2d.ts';
import { forwardOf } from './index.ts';
import { run } from './kernel.ts';
import type { Forward } from './types.ts';

/** Of graphs that went through `fused`; no backward steps. */
export function fusedForwardOf(node: GraphNode): Forward<GraphNode> {
  if (node.op === 'conv2d') return fusedConv2d as Forward<GraphNode>;
  if (node.op === 'globalAvgPool') return pooledAtOnce as Forward<GraphNode>;
  return forwardOf(node);
}

/** Convolution, bias and activation as one kernel of the backend. */
const fusedConv2d: Forward<FusedConv2dNode> = (given) => {
  const { node, inputs, parameters } = given;
  const depthwise = isDepthwise(node);
  if (node.groups > 1 && !depthwise) {
    const { output } = conv2d(given);
    return {
      output: node.fused === 'linear' ? output : node.fused === 'relu' ? tf.relu(output) : tf.relu6(output),
      saved: [],
    };
  }
  const output = run(
    depthwise ? 'FusedDepthwiseConv2D' : 'FusedConv2D',
    { x: inputs[0]!, filter: parameters.weight!, ...(parameters.bias && { bias: parameters.bias }) },
    {
      strides: [node.stride, node.stride],
      pad: node.padding,
      dataFormat: 'NHWC',
      dilations: [1, 1],
      dimRoundingMode: undefined,
      activation: node.fused,
    },
  );
  return { output, saved: [] };
};

/** `[N,H,W,C] → [N,1,1,C]` by a window of the whole map: tfjs's mean would transpose it first. */
const pooledAtOnce: Forward<GlobalAvgPoolNode> = ({ inputs }) => {
  const x = inputs[0] as tf.Tensor4D;
  const [, height, width] = x.shape;
  return { output: height * width === 1 ? tf.clone(x) : tf.avgPool(x, [height, width], 1, 'valid'), saved: [] };
};
