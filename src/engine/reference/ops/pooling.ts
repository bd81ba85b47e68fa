import * as tf from '@tensorflow/tfjs';
import type { AvgPool2dNode, GlobalAvgPoolNode, MaxPool2dNode } from '../../../graph/types.ts';
import { hasKernel, run } from './kernel.ts';
import type { Backward, Forward } from './types.ts';

/** A fused kernel that a backend may bring: `{x}` `[N,1,1,C]` → `[N,H,W,C]` times `factor`; attributes height, width, factor. */
export const SPREAD = 'PacerSpread';

/** torch.nn.MaxPool2d: what lies outside counts as −∞ (tfjs leaves it out of the window, which is the same). */
export const maxPool2d: Forward<MaxPool2dNode> = ({ node, inputs }) => {
  const x = inputs[0] as tf.Tensor4D;
  const output = tf.maxPool(x, node.kernel, node.stride, node.padding);
  return { output, saved: [x, output] };
};

export const maxPool2dBackward: Backward<MaxPool2dNode> = ({ node, dy, saved }) => {
  const [input, output] = saved as [tf.Tensor, tf.Tensor];
  return { inputs: [run('MaxPoolGrad', { dy, input, output }, windowOf(node, node.padding))] };
};

/** torch.nn.AvgPool2d without padding. */
export const avgPool2d: Forward<AvgPool2dNode> = ({ node, inputs }) => {
  const x = inputs[0] as tf.Tensor4D;
  return { output: tf.avgPool(x, node.kernel, node.stride, 0), saved: [x] };
};

export const avgPool2dBackward: Backward<AvgPool2dNode> = ({ node, dy, saved }) => {
  return { inputs: [run('AvgPoolGrad', { dy, input: saved[0]! }, windowOf(node, 0))] };
};

/** AdaptiveAvgPool2d(1): `[N,H,W,C] → [N,1,1,C]`. */
export const globalAvgPool: Forward<GlobalAvgPoolNode> = ({ inputs }) => ({
  output: tf.mean(inputs[0]!, [1, 2], true),
  saved: [],
});

export const globalAvgPoolBackward: Backward<GlobalAvgPoolNode> = ({ dy, inputShapes }) => {
  const [, height, width] = inputShapes[0] as [number, number, number, number];
  const factor = 1 / (height * width);
  if (hasKernel(SPREAD)) return { inputs: [run(SPREAD, { x: dy }, { height, width, factor })] };
  return { inputs: [tf.tile(tf.mul(dy, factor), [1, height, width, 1])] };
};

function windowOf(node: MaxPool2dNode | AvgPool2dNode, pad: number) {
  const { kernel, stride } = node;
  return { filterSize: [kernel, kernel], strides: [stride, stride], pad, dimRoundingMode: undefined };
}
