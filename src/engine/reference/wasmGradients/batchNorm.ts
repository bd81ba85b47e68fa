import type { TensorInfo } from '@tensorflow/tfjs';
import { BATCH_NORM_APPLY, BATCH_NORM_GRADIENT, BATCH_NORM_STATISTICS } from '../ops/batchNorm.ts';
import { allocate, free, sizeOf, view } from './heap.ts';
import { wasmKernel } from './kernel.ts';
import {
  add,
  addColumns,
  allFinite,
  channelVector,
  inChunks,
  multiply,
  partialSums,
  scaleAndShift,
  scratch,
  settled,
  square,
  withRegion,
  withRegions,
} from './vectors.ts';

/** `{x}` `[N,H,W,C]` → `[2,C]`: the means first, then the squares of what is left without them, so that no digits cancel. */
export const batchNormStatistics = wasmKernel(BATCH_NORM_STATISTICS, ({ x }: { x: TensorInfo }) => {
  const channels = x.shape[3]!;
  const size = sizeOf(x);
  const rows = size / channels;
  const output = allocate([2, channels]);
  const partial = partialSums(channels);
  const part = scratch(channels);
  const sums = new Float64Array(channels);
  const squares = new Float64Array(channels);
  inChunks(size, channels, (first, length) =>
    withRegion(x, first, length, (values) => addColumns(values, sums, partial)),
  );
  const means = settled(sums).map((sum) => sum / rows);
  if (allFinite(means)) {
    const one = channelVector(means.map(() => 1));
    const shift = channelVector(means.map((mean) => -mean));
    inChunks(size, channels, (first, length) =>
      withRegion(x, first, length, (values) =>
        withRegion(part, 0, length, (centred) => {
          scaleAndShift(values, one, shift, centred);
          square(centred, centred);
          addColumns(centred, squares, partial);
        }),
      ),
    );
    free(one, shift);
  } else {
    squares.fill(Number.NaN);
  }
  free(partial, part);
  const moments = view(output);
  moments.set(means);
  settled(squares).forEach((sum, c) => (moments[channels + c] = sum / rows));
  return output;
});

export const batchNormApply = wasmKernel(
  BATCH_NORM_APPLY,
  (inputs: { x: TensorInfo; moments: TensorInfo; gamma: TensorInfo; beta: TensorInfo }, { eps }: { eps: number }) => {
    const channels = inputs.x.shape[3]!;
    const output = allocate(inputs.x.shape);
    const scale = new Float64Array(channels);
    const shift = new Float64Array(channels);
    const moments = view(inputs.moments);
    const gamma = view(inputs.gamma);
    const beta = view(inputs.beta);
    for (let c = 0; c < channels; c++) {
      scale[c] = gamma[c]! / Math.sqrt(moments[channels + c]! + eps);
      shift[c] = beta[c]! - scale[c]! * moments[c]!;
    }
    affine(inputs.x, scale, shift, output);
    return output;
  },
);

/** In two passes: sums of dy and dy · x̂, then dx = a·dy + (b·x + d) with three numbers a channel. */
export const batchNormGradient = wasmKernel(
  BATCH_NORM_GRADIENT,
  (inputs: { x: TensorInfo; dy: TensorInfo; gamma: TensorInfo; moments: TensorInfo }, { eps }: { eps: number }) => {
    const { x, dy } = inputs;
    const channels = x.shape[3]!;
    const size = sizeOf(x);
    const count = size / channels;
    const outputs = [allocate(x.shape), allocate([channels]), allocate([channels])] as const;
    const moments = Float64Array.from(view(inputs.moments));
    const means = moments.subarray(0, channels);
    const inverse = moments.subarray(channels).map((variance) => 1 / Math.sqrt(variance + eps));
    const [products, sums] = gradientSums(x, dy, means, inverse);

    const gamma = view(inputs.gamma);
    const a = inverse.map((value, c) => gamma[c]! * value);
    const b = a.map((value, c) => (-value * products[c]! * inverse[c]!) / count);
    const d = a.map((value, c) => (-value * sums[c]!) / count - b[c]! * means[c]!);
    combine(dy, a, x, b, d, outputs[0]);
    view(outputs[1]).set(products);
    view(outputs[2]).set(sums);
    return [...outputs];
  },
);

/** Σ dy · x̂ and Σ dy of each channel. */
function gradientSums(
  x: TensorInfo,
  dy: TensorInfo,
  means: Float64Array,
  inverse: Float64Array,
): [products: Float64Array, sums: Float64Array] {
  const channels = means.length;
  const products = new Float64Array(channels);
  const sums = new Float64Array(channels);
  if (!allFinite(means, inverse)) return [products.fill(Number.NaN), sums.fill(Number.NaN)];
  const partial = partialSums(channels);
  const part = scratch(channels);
  const scale = channelVector(inverse);
  const shift = channelVector(inverse.map((value, c) => -means[c]! * value));
  inChunks(sizeOf(x), channels, (first, length) =>
    withRegions([x, dy], first, length, ([values, gradient]) =>
      withRegion(part, 0, length, (normalised) => {
        addColumns(gradient!, sums, partial);
        scaleAndShift(values!, scale, shift, normalised);
        multiply(normalised, gradient!, normalised);
        addColumns(normalised, products, partial);
      }),
    ),
  );
  free(partial, part, scale, shift);
  return [settled(products), settled(sums)];
}

/** out = a[c] · x + b[c] */
function affine(x: TensorInfo, a: Float64Array, b: Float64Array, out: TensorInfo): void {
  if (!allFinite(a, b)) return plainly(out, b, [x, a]);
  const [scale, shift] = [channelVector(a), channelVector(b)];
  const size = sizeOf(x);
  withRegion(x, 0, size, (values) => withRegion(out, 0, size, (target) => scaleAndShift(values, scale, shift, target)));
  free(scale, shift);
}

/** out = a[c] · dy + (b[c] · x + d[c]) */
function combine(
  dy: TensorInfo,
  a: Float64Array,
  x: TensorInfo,
  b: Float64Array,
  d: Float64Array,
  out: TensorInfo,
): void {
  if (!allFinite(a, b, d)) return plainly(out, d, [dy, a], [x, b]);
  const channels = a.length;
  const vectors = [channelVector(a), channelVector(a.map(() => 0)), channelVector(b), channelVector(d)] as const;
  const part = scratch(channels);
  inChunks(sizeOf(x), channels, (first, length) =>
    withRegions([dy, x, out], first, length, ([gradient, values, target]) =>
      withRegion(part, 0, length, (scaled) => {
        scaleAndShift(gradient!, vectors[0], vectors[1], scaled);
        scaleAndShift(values!, vectors[2], vectors[3], target!);
        add(scaled, target!, target!);
      }),
    ),
  );
  free(part, ...vectors);
}

/** The same in JavaScript: NaN stays NaN. */
function plainly(
  out: TensorInfo,
  shift: Float64Array,
  ...terms: readonly [x: TensorInfo, factor: Float64Array][]
): void {
  const target = view(out);
  const values = terms.map(([x, factor]) => [view(x), factor] as const);
  for (let i = 0; i < target.length; i++) {
    const c = i % shift.length;
    target[i] = values.reduce((sum, [x, factor]) => sum + factor[c]! * x[i]!, shift[c]!);
  }
}
