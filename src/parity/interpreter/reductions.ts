import { exp } from '../../elementary.ts';
import type { Operation, Tensor } from '../types.ts';
import { eachRow, empty, sizeOf, STINT, stridesOf, type Work } from './work.ts';

type BatchNorm = Extract<Operation, { kind: 'batchNorm' }>;

/** gamma · (x − mean) / √(variance + epsilon) + beta, in float64. */
export function batchNorm(
  epsilon: BatchNorm['epsilon'],
  x: Tensor,
  of: { readonly mean: Tensor; readonly variance: Tensor; readonly gamma: Tensor | null; readonly beta: Tensor | null },
): Tensor {
  const out = empty(x.shape);
  const [images, channels] = x.shape as [number, number];
  const size = sizeOf(x.shape.slice(2));
  for (let plane = 0; plane < images * channels; plane++) {
    const c = plane % channels;
    const scale = (of.gamma?.data[c] ?? 1) / Math.sqrt(of.variance.data[c]! + epsilon);
    const shift = (of.beta?.data[c] ?? 0) - of.mean.data[c]! * scale;
    for (let at = plane * size; at < (plane + 1) * size; at++) out.data[at] = x.data[at]! * scale + shift;
  }
  return out;
}

/** `axes` are whole and not negative. */
export function mean(axes: readonly number[], x: Tensor, shape: readonly number[]): Tensor {
  const kept = x.shape.map((side, axis) => (axes.includes(axis) ? 1 : side));
  const strides = stridesOf(kept).map((stride, axis) => (axes.includes(axis) ? 0 : stride));
  const sums = new Float64Array(sizeOf(kept));
  const last = x.shape.length - 1;
  eachRow(x.shape, stridesOf(x.shape), strides, (from, to) => {
    for (let i = 0; i < x.shape[last]!; i++) sums[to + i * strides[last]!]! += x.data[from + i]!;
  });
  const count = x.data.length / sums.length;
  return { shape, data: Float32Array.from(sums, (sum) => sum / count) };
}

export function softmax(axis: number, x: Tensor): Tensor {
  const out = empty(x.shape);
  const length = x.shape[axis]!;
  const apart = sizeOf(x.shape.slice(axis + 1));
  const terms = new Float64Array(length);
  for (let outer = 0; outer < x.data.length; outer += length * apart) {
    for (let start = outer; start < outer + apart; start++) {
      let largest = -Infinity;
      for (let i = 0; i < length; i++) largest = Math.max(largest, x.data[start + i * apart]!);
      let sum = 0;
      for (let i = 0; i < length; i++) sum += terms[i] = exp(x.data[start + i * apart]! - largest);
      for (let i = 0; i < length; i++) out.data[start + i * apart] = terms[i]! / sum;
    }
  }
  return out;
}

export function* linear(x: Tensor, weight: Tensor, bias: Tensor | null): Work {
  const [rows, inputs] = x.shape as [number, number];
  const outputs = weight.shape[0]!;
  const out = empty([rows, outputs]);
  let done = 0;
  for (let row = 0; row < rows; row++) {
    for (let o = 0; o < outputs; o++) {
      let sum = 0;
      for (let i = 0; i < inputs; i++) sum += x.data[row * inputs + i]! * weight.data[o * inputs + i]!;
      out.data[row * outputs + o] = sum + (bias?.data[o] ?? 0);
      done += inputs;
      if (done >= STINT) {
        yield done;
        done = 0;
      }
    }
  }
  yield done;
  return out;
}
