import type { TensorInfo } from '@tensorflow/tfjs';
import { BATCH_NORM_GRADIENT, BATCH_NORM_STATISTICS } from '../ops/batchNorm.ts';
import { allocate, view } from './heap.ts';
import { wasmKernel } from './kernel.ts';

/** `{x}` `[N,H,W,C]` → mean and biased variance `[C]`, in one pass; sums in double precision, so that squares may be used. */
export const batchNormStatistics = wasmKernel(BATCH_NORM_STATISTICS, ({ x }: { x: TensorInfo }) => {
  const channels = x.shape[3]!;
  const outputs = [allocate([channels]), allocate([channels])];
  const source = view(x);
  const sums = new Float64Array(channels);
  const squares = new Float64Array(channels);
  for (let row = 0; row < source.length; row += channels) {
    for (let c = 0; c < channels; c++) {
      const value = source[row + c]!;
      sums[c] = sums[c]! + value;
      squares[c] = squares[c]! + value * value;
    }
  }
  const count = source.length / channels;
  const mean = view(outputs[0]!);
  const variance = view(outputs[1]!);
  for (let c = 0; c < channels; c++) {
    const average = sums[c]! / count;
    mean[c] = average;
    const spread = squares[c]! / count - average * average;
    // Rounding may bring it below zero; NaN must stay NaN.
    variance[c] = spread < 0 ? 0 : spread;
  }
  return outputs;
});

/** `{x, dy, gamma, mean, variance}` → dx, dγ, dβ, in two passes: dx = a·dy + b·x + d with three numbers a channel. */
export const batchNormGradient = wasmKernel(
  BATCH_NORM_GRADIENT,
  (
    inputs: { x: TensorInfo; dy: TensorInfo; gamma: TensorInfo; mean: TensorInfo; variance: TensorInfo },
    { eps }: { eps: number },
  ) => {
    const channels = inputs.x.shape[3]!;
    const outputs = [allocate(inputs.x.shape), allocate([channels]), allocate([channels])];
    const x = view(inputs.x);
    const dy = view(inputs.dy);
    const gamma = view(inputs.gamma);
    const mean = view(inputs.mean);
    const variance = view(inputs.variance);
    const [dx, dGamma, dBeta] = outputs.map(view) as [Float32Array, Float32Array, Float32Array];
    const sums = new Float64Array(channels);
    const products = new Float64Array(channels);
    for (let row = 0; row < x.length; row += channels) {
      for (let c = 0; c < channels; c++) {
        const gradient = dy[row + c]!;
        sums[c] = sums[c]! + gradient;
        products[c] = products[c]! + gradient * (x[row + c]! - mean[c]!);
      }
    }
    const count = x.length / channels;
    const a = new Float64Array(channels);
    const b = new Float64Array(channels);
    const d = new Float64Array(channels);
    for (let c = 0; c < channels; c++) {
      const inverse = 1 / Math.sqrt(variance[c]! + eps);
      const scaled = products[c]! * inverse;
      dGamma[c] = scaled;
      dBeta[c] = sums[c]!;
      a[c] = gamma[c]! * inverse;
      b[c] = (-a[c]! * scaled * inverse) / count;
      d[c] = (-a[c]! * sums[c]!) / count - b[c]! * mean[c]!;
    }
    for (let row = 0; row < x.length; row += channels) {
      for (let c = 0; c < channels; c++) dx[row + c] = a[c]! * dy[row + c]! + b[c]! * x[row + c]! + d[c]!;
    }
    return outputs;
  },
);
