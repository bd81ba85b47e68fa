import * as tf from '@tensorflow/tfjs';
import type { BatchNorm2dNode } from '../../../graph/types.ts';
import { hasKernel, run, runMany } from './kernel.ts';
import type { Backward, Forward } from './types.ts';

/**
 * Fused kernels that a backend may bring (wasmGradients). `moments` is `[2,C]`: mean, biased variance.
 * Statistics: `{x}` → moments. Apply: `{x, moments, gamma, beta}`, eps → y. Gradient: `{x, dy, gamma, moments}`, eps → dx, dγ, dβ.
 */
export const BATCH_NORM_STATISTICS = 'PacerBatchNormStatistics';
export const BATCH_NORM_APPLY = 'PacerBatchNormApply';
export const BATCH_NORM_GRADIENT = 'PacerBatchNormGradient';

/**
 * torch.nn.BatchNorm2d. Train mode normalises with the batch's mean and biased variance; the caller moves the running
 * statistics (with the unbiased variance) once it knows that the step counts. Eval mode uses the running statistics.
 */
export const batchNorm2d: Forward<BatchNorm2dNode> = ({ node, inputs, parameters, training }) => {
  const x = inputs[0] as tf.Tensor4D;
  const { weight: gamma, bias: beta } = parameters as { weight: tf.Tensor; bias: tf.Tensor };
  if (!training) {
    const mean = parameters.running_mean!;
    const variance = parameters.running_var!;
    return { output: normalised(x, mean, variance, gamma, beta, node.eps), saved: [] };
  }
  const moments = momentsOf(x);
  const output = hasKernel(BATCH_NORM_APPLY)
    ? run(BATCH_NORM_APPLY, { x, moments, gamma, beta }, { eps: node.eps })
    : normalised(x, ...rowsOf(moments), gamma, beta, node.eps);
  return { output, saved: [x, moments], statistics: { moments, count: x.size / node.channels } };
};

export const batchNorm2dBackward: Backward<BatchNorm2dNode> = ({ node, dy, saved, parameters }) => {
  const [x, moments] = saved as [tf.Tensor, tf.Tensor];
  const gamma = parameters.weight!;
  if (hasKernel(BATCH_NORM_GRADIENT)) {
    const [dx, weight, bias] = runMany(BATCH_NORM_GRADIENT, { x, dy, gamma, moments }, { eps: node.eps });
    return { inputs: [dx!], weight: weight!, bias: bias! };
  }
  const [mean, variance] = rowsOf(moments);
  const count = x.size / node.channels;
  const inverse = tf.rsqrt(tf.add(variance, node.eps));
  const bias = tf.sum(dy, [0, 1, 2]);
  const centred = tf.mul(tf.sub(x, mean), inverse);
  const weight = tf.sum(tf.mul(dy, centred), [0, 1, 2]);
  // dx = γ/σ · (dy − mean(dy) − x̂ · mean(dy · x̂)), Ioffe & Szegedy 2015, section 3.
  const rest = tf.sub(tf.sub(dy, tf.div(bias, count)), tf.mul(centred, tf.div(weight, count)));
  return { inputs: [tf.mul(rest, tf.mul(gamma, inverse))], weight, bias };
};

/** Mean and variance as two `[C]` tensors. */
export function rowsOf(moments: tf.Tensor): [tf.Tensor, tf.Tensor] {
  const [mean, variance] = tf.unstack(moments);
  return [mean!, variance!];
}

function momentsOf(x: tf.Tensor4D): tf.Tensor {
  if (hasKernel(BATCH_NORM_STATISTICS)) return run(BATCH_NORM_STATISTICS, { x });
  const { mean, variance } = tf.moments(x, [0, 1, 2]);
  return tf.stack([mean, variance]);
}

function normalised(
  x: tf.Tensor,
  mean: tf.Tensor,
  variance: tf.Tensor,
  scale: tf.Tensor,
  offset: tf.Tensor,
  varianceEpsilon: number,
): tf.Tensor {
  return run('FusedBatchNorm', { x, mean, variance, offset, scale }, { varianceEpsilon });
}
