import * as tf from '@tensorflow/tfjs';
import type { BatchNorm2dNode } from '../../../graph/types.ts';
import { hasKernel, run, runMany } from './kernel.ts';
import type { Op } from './types.ts';

/** Fused kernels that a backend may bring (wasmGradients, webgpuKernels). Inputs and outputs as in the functions below. */
export const BATCH_NORM_STATISTICS = 'PacerBatchNormStatistics';
export const BATCH_NORM_GRADIENT = 'PacerBatchNormGradient';

/**
 * torch.nn.BatchNorm2d. Train mode normalises with the batch's mean and biased variance; the caller moves the running
 * statistics (with the unbiased variance) once it knows that the step counts. Eval mode uses the running statistics.
 */
export const batchNorm2d: Op<BatchNorm2dNode> = {
  forward({ node, inputs, parameters, training }) {
    const x = inputs[0] as tf.Tensor4D;
    const { weight: scale, bias: offset } = parameters as { weight: tf.Tensor; bias: tf.Tensor };
    const attrs = { varianceEpsilon: node.eps };
    if (!training) {
      const mean = parameters.running_mean!;
      const variance = parameters.running_var!;
      return { output: run('FusedBatchNorm', { x, mean, variance, offset, scale }, attrs), saved: [] };
    }
    const { mean, variance } = statisticsOf(x);
    const output = run('FusedBatchNorm', { x, mean, variance, offset, scale }, attrs);
    return {
      output,
      saved: [x, mean, variance],
      statistics: { mean, variance, count: x.size / node.channels },
    };
  },
  backward({ node, dy, saved, parameters }) {
    const [x, mean, variance] = saved as [tf.Tensor, tf.Tensor, tf.Tensor];
    const gamma = parameters.weight!;
    if (hasKernel(BATCH_NORM_GRADIENT)) {
      const [dx, weight, bias] = runMany(BATCH_NORM_GRADIENT, { x, dy, gamma, mean, variance }, { eps: node.eps });
      return { inputs: [dx!], weight: weight!, bias: bias! };
    }
    const count = x.size / node.channels;
    const inverse = tf.rsqrt(tf.add(variance, node.eps));
    const bias = tf.sum(dy, [0, 1, 2]);
    const normalised = tf.mul(tf.sub(x, mean), inverse);
    const weight = tf.sum(tf.mul(dy, normalised), [0, 1, 2]);
    // dx = γ/σ · (dy − mean(dy) − x̂ · mean(dy · x̂)), Ioffe & Szegedy 2015, section 3.
    const centred = tf.sub(dy, tf.div(bias, count));
    const dx = tf.mul(tf.sub(centred, tf.mul(normalised, tf.div(weight, count))), tf.mul(gamma, inverse));
    return { inputs: [dx], weight, bias };
  },
};

function statisticsOf(x: tf.Tensor4D): { mean: tf.Tensor; variance: tf.Tensor } {
  if (hasKernel(BATCH_NORM_STATISTICS)) {
    const [mean, variance] = runMany(BATCH_NORM_STATISTICS, { x });
    return { mean: mean!, variance: variance! };
  }
  return tf.moments(x, [0, 1, 2]);
}
