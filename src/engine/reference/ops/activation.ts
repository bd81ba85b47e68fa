import * as tf from '@tensorflow/tfjs';
import type { ActivationNode } from '../../../graph/types.ts';
import { hasKernel, run } from './kernel.ts';
import type { Backward, Forward } from './types.ts';

/** Fused kernels that a backend may bring: `{x}` → y, `{x, dy}` → dx, attribute `kind`. */
export const ACTIVATION = 'PacerActivation';
export const ACTIVATION_GRADIENT = 'PacerActivationGradient';

/** torch.nn.ReLU; Hardswish x · relu6(x + 3) / 6; Hardsigmoid relu6(x + 3) / 6. */
export const activation: Forward<ActivationNode> = ({ node: { kind }, inputs }) => {
  const x = inputs[0]!;
  if (kind === 'relu') {
    // The gradient asks only for the sign, which the output has too; keeping the output frees the input.
    const output = tf.relu(x);
    return { output, saved: [output] };
  }
  if (hasKernel(ACTIVATION)) return { output: run(ACTIVATION, { x }, { kind }), saved: [x] };
  const gate = tf.div(tf.relu6(tf.add(x, 3)), 6);
  return { output: kind === 'hardswish' ? tf.mul(x, gate) : gate, saved: [x] };
};

export const activationBackward: Backward<ActivationNode> = ({ node: { kind }, dy, saved }) => {
  const x = saved[0]!;
  if (hasKernel(ACTIVATION_GRADIENT)) return { inputs: [run(ACTIVATION_GRADIENT, { x, dy }, { kind })] };
  if (kind === 'relu') return { inputs: [tf.mul(dy, tf.step(x))] };
  const inside = tf.mul(tf.step(tf.add(x, 3)), tf.step(tf.sub(3, x)));
  if (kind === 'hardsigmoid') return { inputs: [tf.mul(dy, tf.div(inside, 6))] };
  // Slope: 0 left of −3, x/3 + 1/2 between, 1 right of 3.
  const slope = tf.add(tf.mul(inside, tf.add(tf.div(x, 3), 0.5)), tf.sub(1, tf.step(tf.sub(3, x))));
  return { inputs: [tf.mul(dy, slope)] };
};
