import * as tf from '@tensorflow/tfjs';
import type { ChannelAffineNode, DropoutNode, InputNode, LinearNode, SoftmaxNode } from '../../../graph/types.ts';
import type { Backward, Forward } from './types.ts';

/** torch.nn.Linear on `[N,in]`; the weight is kept as `[in, out]`. */
export const linear: Forward<LinearNode> = ({ inputs, parameters: { weight, bias } }) => {
  const x = inputs[0] as tf.Tensor2D;
  const y = tf.matMul(x, weight as tf.Tensor2D);
  return { output: bias ? tf.add(y, bias) : y, saved: [x] };
};

export const linearBackward: Backward<LinearNode> = ({ node, dy, saved, parameters: { weight }, wanted }) => {
  // Explicit transposes: the wasm backend's own transposed products are several times slower.
  return {
    inputs: [wanted[0] ? tf.matMul(dy as tf.Tensor2D, tf.transpose(weight as tf.Tensor2D)) : null],
    weight: tf.matMul(tf.transpose(saved[0] as tf.Tensor2D), dy as tf.Tensor2D),
    ...(node.bias && { bias: tf.sum(dy, 0) }),
  };
};

/** Inverted dropout, as torch's: kept values are divided by 1 − p. */
export const dropout: Forward<DropoutNode> = ({ node, inputs, training, uniform }) => {
  const x = inputs[0]!;
  if (!training || node.p === 0) return { output: tf.clone(x), saved: [] };
  const kept = 1 / (1 - node.p);
  const mask = Float32Array.from({ length: x.size }, () => (uniform() < node.p ? 0 : kept));
  const factor = tf.tensor(mask, x.shape);
  return { output: tf.mul(x, factor), saved: [factor] };
};

export const dropoutBackward: Backward<DropoutNode> = ({ dy, saved }) => ({
  inputs: [saved[0] ? tf.mul(dy, saved[0]) : tf.clone(dy)],
});

export const input: Forward<InputNode> = () => {
  throw new Error('The input node is fed by the caller.');
};

/** Export graphs only. */
export const softmax: Forward<SoftmaxNode> = ({ inputs }) => ({ output: tf.softmax(inputs[0]!), saved: [] });

/** Export graphs only: x · scale[c] + shift[c]. */
export const channelAffine: Forward<ChannelAffineNode> = ({ node, inputs }) => {
  const scaled = tf.mul(inputs[0]!, tf.tensor1d([...node.scale]));
  return { output: tf.add(scaled, tf.tensor1d([...node.shift])), saved: [] };
};
