import type { BatchNorm2dNode, Weights } from '../graph/types.ts';
import { weightsOf } from './parameter.ts';
import type { Precision } from './types.ts';

/** `[channels]` each: (x − mean) / √(variance + eps) · gamma + beta. */
export interface BatchNormNumbers {
  readonly gamma: Float32Array;
  readonly beta: Float32Array;
  readonly mean: Float32Array;
  readonly variance: Float32Array;
}

/**
 * A batch norm that could not be folded into a convolution, in the form in which it is written. In float32 as it is. Float16 would lose
 * variances below 6e-8 and with them the scale; there scale and shift are computed first and rounded once: mean 0, variance 1,
 * gamma = scale · √(1 + eps).
 */
export function batchNormNumbers(
  { name, channels, eps }: BatchNorm2dNode,
  weights: Weights,
  precision: Precision,
): BatchNormNumbers {
  const [gamma, beta, mean, variance] = ['weight', 'bias', 'running_mean', 'running_var'].map(
    (kind) => weightsOf(weights, `${name}.${kind}`).data,
  ) as [Float32Array, Float32Array, Float32Array, Float32Array];
  if (precision === 'float32') return { gamma, beta, mean, variance };
  const scale = gamma.map((value, channel) => value / Math.sqrt((variance[channel] as number) + eps));
  return {
    gamma: scale.map((value) => value * Math.sqrt(1 + eps)),
    beta: beta.map((value, channel) => value - (mean[channel] as number) * (scale[channel] as number)),
    mean: new Float32Array(channels),
    variance: new Float32Array(channels).fill(1),
  };
}
