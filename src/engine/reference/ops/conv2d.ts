import * as tf from '@tensorflow/tfjs';
import { isDepthwise } from '../../../graph/convolution.ts';
import type { Conv2dNode } from '../../../graph/types.ts';
import { run } from './kernel.ts';
import type { Backward, Forward } from './types.ts';

/** torch.nn.Conv2d: symmetric zero padding, floor; groups 1, depthwise (groups = in = out), or any other by slices. */
export const conv2d: Forward<Conv2dNode> = ({ node, inputs: [x], parameters: { weight, bias } }) => {
  const y =
    groupsOf(node) === 'some' ? grouped(node, x as tf.Tensor4D, weight as tf.Tensor4D) : plain(node, x!, weight!);
  return { output: bias ? tf.add(y, bias) : y, saved: [x!] };
};

export const conv2dBackward: Backward<Conv2dNode> = ({
  node,
  dy,
  saved: [x],
  parameters: { weight },
  inputShapes,
  wanted,
}) => {
  const result =
    groupsOf(node) === 'some'
      ? groupedBackward(node, x as tf.Tensor4D, weight as tf.Tensor4D, dy as tf.Tensor4D, wanted[0]!)
      : plainBackward(node, x!, weight!, dy, inputShapes[0]!, wanted[0]!);
  return { inputs: [result.dx], weight: result.dw, ...(node.bias && { bias: tf.sum(dy, [0, 1, 2]) }) };
};

function groupsOf(node: Conv2dNode): 'one' | 'depthwise' | 'some' {
  return node.groups === 1 ? 'one' : isDepthwise(node) ? 'depthwise' : 'some';
}

function plain(node: Conv2dNode, x: tf.Tensor, weight: tf.Tensor): tf.Tensor {
  const { stride, padding } = node;
  return isDepthwise(node)
    ? tf.depthwiseConv2d(x as tf.Tensor4D, weight as tf.Tensor4D, stride, padding)
    : tf.conv2d(x as tf.Tensor4D, weight as tf.Tensor4D, stride, padding);
}

function plainBackward(
  node: Conv2dNode,
  x: tf.Tensor,
  weight: tf.Tensor,
  dy: tf.Tensor,
  inputShape: readonly number[],
  dxWanted: boolean,
): { dx: tf.Tensor | null; dw: tf.Tensor } {
  const strides = [node.stride, node.stride];
  const geometry = { strides, dilations: [1, 1], pad: node.padding, dataFormat: 'NHWC', dimRoundingMode: undefined };
  const kernels = isDepthwise(node)
    ? (['DepthwiseConv2dNativeBackpropFilter', 'DepthwiseConv2dNativeBackpropInput'] as const)
    : (['Conv2DBackpropFilter', 'Conv2DBackpropInput'] as const);
  return {
    dw: run(kernels[0], { x, dy }, { ...geometry, filterShape: weight.shape }),
    dx: dxWanted ? run(kernels[1], { dy, filter: weight }, { ...geometry, inputShape }) : null,
  };
}

function grouped(node: Conv2dNode, x: tf.Tensor4D, weight: tf.Tensor4D): tf.Tensor {
  const xs = tf.split(x, node.groups, 3);
  const weights = tf.split(weight, node.groups, 3);
  const one = { ...node, groups: 1 };
  return tf.concat(
    xs.map((part, i) => plain(one, part, weights[i]!)),
    3,
  );
}

function groupedBackward(node: Conv2dNode, x: tf.Tensor4D, weight: tf.Tensor4D, dy: tf.Tensor4D, dxWanted: boolean) {
  const xs = tf.split(x, node.groups, 3);
  const weights = tf.split(weight, node.groups, 3);
  const dys = tf.split(dy, node.groups, 3);
  const one = { ...node, groups: 1 };
  const parts = xs.map((part, i) => plainBackward(one, part, weights[i]!, dys[i]!, part.shape, dxWanted));
  return {
    dx: dxWanted
      ? tf.concat(
          parts.map((part) => part.dx!),
          3,
        )
      : null,
    dw: tf.concat(
      parts.map((part) => part.dw),
      3,
    ),
  };
}
