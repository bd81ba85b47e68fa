import type { TensorInfo } from '@tensorflow/tfjs';
import { BATCH_NORM_APPLY, BATCH_NORM_GRADIENT, BATCH_NORM_STATISTICS } from '../ops/batchNorm.ts';
import { allocate, view } from './heap.ts';
import { wasmKernel } from './kernel.ts';

/** `{x}` `[N,H,W,C]` → `[2,C]`, in one pass; sums in double precision, so that squares may be used. */
export const batchNormStatistics = wasmKernel(BATCH_NORM_STATISTICS, ({ x }: { x: TensorInfo }) => {
  const channels = x.shape[3]!;
  const output = allocate([2, channels]);
  const source = view(x);
  const sums = new Float64Array(channels);
  const squares = new Float64Array(channels);
  const rows = source.length / channels;
  const quads = source.length - (rows % 4) * channels;
  // Four rows at a time: the sums are loaded and stored a quarter as often, which halves the time.
  for (let row = 0; row < quads; row += 4 * channels) {
    for (let c = 0; c < channels; c++) {
      const i = row + c;
      const v0 = source[i]!;
      const v1 = source[i + channels]!;
      const v2 = source[i + 2 * channels]!;
      const v3 = source[i + 3 * channels]!;
      sums[c] = sums[c]! + (v0 + v1) + (v2 + v3);
      squares[c] = squares[c]! + (v0 * v0 + v1 * v1) + (v2 * v2 + v3 * v3);
    }
  }
  for (let row = quads; row < source.length; row += channels) {
    for (let c = 0; c < channels; c++) {
      const value = source[row + c]!;
      sums[c] = sums[c]! + value;
      squares[c] = squares[c]! + value * value;
    }
  }
  const moments = view(output);
  for (let c = 0; c < channels; c++) {
    const average = sums[c]! / rows;
    moments[c] = average;
    const spread = squares[c]! / rows - average * average;
    // Rounding may bring it below zero; NaN must stay NaN.
    moments[channels + c] = spread < 0 ? 0 : spread;
  }
  return output;
});

export const batchNormApply = wasmKernel(
  BATCH_NORM_APPLY,
  (inputs: { x: TensorInfo; moments: TensorInfo; gamma: TensorInfo; beta: TensorInfo }, { eps }: { eps: number }) => {
    const channels = inputs.x.shape[3]!;
    const output = allocate(inputs.x.shape);
    const y = view(output);
    const x = view(inputs.x);
    const moments = view(inputs.moments);
    const gamma = view(inputs.gamma);
    const beta = view(inputs.beta);
    const scale = new Float64Array(channels);
    const shift = new Float64Array(channels);
    for (let c = 0; c < channels; c++) {
      scale[c] = gamma[c]! / Math.sqrt(moments[channels + c]! + eps);
      shift[c] = beta[c]! - scale[c]! * moments[c]!;
    }
    const quads = x.length - (x.length % (4 * channels));
    for (let row = 0; row < quads; row += 4 * channels) {
      for (let c = 0; c < channels; c++) {
        const a = scale[c]!;
        const b = shift[c]!;
        let i = row + c;
        y[i] = x[i]! * a + b;
        i += channels;
        y[i] = x[i]! * a + b;
        i += channels;
        y[i] = x[i]! * a + b;
        i += channels;
        y[i] = x[i]! * a + b;
      }
    }
    for (let row = quads; row < x.length; row += channels) {
      for (let c = 0; c < channels; c++) y[row + c] = x[row + c]! * scale[c]! + shift[c]!;
    }
    return output;
  },
);

/** In two passes: dx = a·dy + b·x + d with three numbers a channel. */
export const batchNormGradient = wasmKernel(
  BATCH_NORM_GRADIENT,
  (inputs: { x: TensorInfo; dy: TensorInfo; gamma: TensorInfo; moments: TensorInfo }, { eps }: { eps: number }) => {
    const channels = inputs.x.shape[3]!;
    const outputs = [allocate(inputs.x.shape), allocate([channels]), allocate([channels])];
    const x = view(inputs.x);
    const dy = view(inputs.dy);
    const gamma = view(inputs.gamma);
    const moments = view(inputs.moments);
    const [dx, dGamma, dBeta] = outputs.map(view) as [Float32Array, Float32Array, Float32Array];
    const sums = new Float64Array(channels);
    const products = new Float64Array(channels);
    const quads = x.length - (x.length % (4 * channels));
    for (let row = 0; row < quads; row += 4 * channels) {
      for (let c = 0; c < channels; c++) {
        const i = row + c;
        const j = i + channels;
        const k = j + channels;
        const l = k + channels;
        const g0 = dy[i]!;
        const g1 = dy[j]!;
        const g2 = dy[k]!;
        const g3 = dy[l]!;
        sums[c] = sums[c]! + (g0 + g1) + (g2 + g3);
        products[c] = products[c]! + (g0 * x[i]! + g1 * x[j]!) + (g2 * x[k]! + g3 * x[l]!);
      }
    }
    for (let row = quads; row < x.length; row += channels) {
      for (let c = 0; c < channels; c++) {
        const gradient = dy[row + c]!;
        sums[c] = sums[c]! + gradient;
        products[c] = products[c]! + gradient * x[row + c]!;
      }
    }
    const count = x.length / channels;
    const a = new Float64Array(channels);
    const b = new Float64Array(channels);
    const d = new Float64Array(channels);
    for (let c = 0; c < channels; c++) {
      const mean = moments[c]!;
      const inverse = 1 / Math.sqrt(moments[channels + c]! + eps);
      const scaled = (products[c]! - mean * sums[c]!) * inverse;
      dGamma[c] = scaled;
      dBeta[c] = sums[c]!;
      a[c] = gamma[c]! * inverse;
      b[c] = (-a[c]! * scaled * inverse) / count;
      d[c] = (-a[c]! * sums[c]!) / count - b[c]! * mean;
    }
    for (let row = 0; row < quads; row += 4 * channels) {
      for (let c = 0; c < channels; c++) {
        const ac = a[c]!;
        const bc = b[c]!;
        const dc = d[c]!;
        let i = row + c;
        dx[i] = ac * dy[i]! + bc * x[i]! + dc;
        i += channels;
        dx[i] = ac * dy[i]! + bc * x[i]! + dc;
        i += channels;
        dx[i] = ac * dy[i]! + bc * x[i]! + dc;
        i += channels;
        dx[i] = ac * dy[i]! + bc * x[i]! + dc;
      }
    }
    for (let row = quads; row < x.length; row += channels) {
      for (let c = 0; c < channels; c++) dx[row + c] = a[c]! * dy[row + c]! + b[c]! * x[row + c]! + d[c]!;
    }
    return outputs;
  },
);
