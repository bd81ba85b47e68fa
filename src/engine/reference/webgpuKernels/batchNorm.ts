import type { TensorInfo } from '@tensorflow/tfjs';
import { BATCH_NORM_APPLY, BATCH_NORM_GRADIENT, BATCH_NORM_STATISTICS } from '../ops/batchNorm.ts';
import { allocate, dispatch, free, shader, sizeOf, webgpuKernel } from './dispatch.ts';

/**
 * Sums over N, H and W in two dispatches: workgroups of 32 channels × 8 rows add up their slice of the rows, then one thread a channel
 * adds the slices. Adjacent threads read adjacent channels.
 */
const lanes = 32;
const rowsAtOnce = 8;

/** `first` and `second` are what a row adds to its channel's two sums. */
function partialSums(name: string, reads: readonly string[], before: string, first: string, second: string) {
  return shader(name, {
    reads,
    writes: ['partial'],
    integers: ['rows', 'channels', 'slices'],
    workgroup: lanes * rowsAtOnce,
    declarations: `var<workgroup> shared0 : array<f32, ${lanes * rowsAtOnce}>;
var<workgroup> shared1 : array<f32, ${lanes * rowsAtOnce}>;`,
    body: `
  let slice = group % u.slices;
  let c = (group / u.slices) * ${lanes} + lane % ${lanes};
  let each = (u.rows + u.slices - 1) / u.slices;
  let end = min(u.rows, (slice + 1) * each);
  var sum0 = 0.0;
  var sum1 = 0.0;
  if (c < u.channels) {
    ${before}
    for (var row = slice * each + lane / ${lanes}; row < end; row += ${rowsAtOnce}) {
      let i = row * u.channels + c;
      ${first}
      ${second}
    }
  }
  shared0[lane] = sum0;
  shared1[lane] = sum1;
  workgroupBarrier();
  if (lane < ${lanes} && c < u.channels) {
    for (var r = 1; r < ${rowsAtOnce}; r++) {
      sum0 += shared0[lane + r * ${lanes}];
      sum1 += shared1[lane + r * ${lanes}];
    }
    partial[(slice * 2) * u.channels + c] = sum0;
    partial[(slice * 2 + 1) * u.channels + c] = sum1;
  }`,
  });
}

// Differences from the channel's first value: squares of the values themselves would lose digits where the mean is large.
const statisticsPartial = partialSums(
  'batchNormStatisticsPartial',
  ['x'],
  'let origin = x[c];',
  'let d = x[i] - origin; sum0 += d;',
  'sum1 += d * d;',
);

const statisticsTotal = shader('batchNormStatisticsTotal', {
  reads: ['x', 'partial'],
  writes: ['moments'],
  integers: ['rows', 'channels', 'slices'],
  body: `
  if (index >= u.channels) { return; }
  var sum0 = 0.0;
  var sum1 = 0.0;
  for (var s = 0; s < u.slices; s++) {
    sum0 += partial[(s * 2) * u.channels + index];
    sum1 += partial[(s * 2 + 1) * u.channels + index];
  }
  let shift = sum0 / f32(u.rows);
  moments[index] = x[index] + shift;
  moments[u.channels + index] = max(0.0, sum1 / f32(u.rows) - shift * shift);`,
});

const apply = shader('batchNormApply', {
  reads: ['x', 'moments', 'gamma', 'beta'],
  writes: ['y'],
  integers: ['size', 'channels'],
  floats: ['eps'],
  body: `
  if (index >= u.size) { return; }
  let c = index % u.channels;
  y[index] = (x[index] - moments[c]) * (gamma[c] * inverseSqrt(moments[u.channels + c] + u.eps)) + beta[c];`,
});

const gradientPartial = partialSums(
  'batchNormGradientPartial',
  ['x', 'dy', 'moments'],
  'let mean = moments[c];',
  'let g = dy[i]; sum0 += g;',
  'sum1 += g * (x[i] - mean);',
);

const gradientTotal = shader('batchNormGradientTotal', {
  reads: ['partial', 'moments'],
  writes: ['dGamma', 'dBeta'],
  integers: ['channels', 'slices'],
  floats: ['eps'],
  body: `
  if (index >= u.channels) { return; }
  var sum0 = 0.0;
  var sum1 = 0.0;
  for (var s = 0; s < u.slices; s++) {
    sum0 += partial[(s * 2) * u.channels + index];
    sum1 += partial[(s * 2 + 1) * u.channels + index];
  }
  dBeta[index] = sum0;
  dGamma[index] = sum1 * inverseSqrt(moments[u.channels + index] + u.eps);`,
});

const gradientInput = shader('batchNormGradientInput', {
  reads: ['x', 'dy', 'moments', 'gamma', 'dGamma', 'dBeta'],
  writes: ['dx'],
  integers: ['size', 'channels'],
  floats: ['eps', 'rows'],
  body: `
  if (index >= u.size) { return; }
  let c = index % u.channels;
  let inverse = inverseSqrt(moments[u.channels + c] + u.eps);
  let normalised = (x[index] - moments[c]) * inverse;
  dx[index] = gamma[c] * inverse * (dy[index] - (dBeta[c] + normalised * dGamma[c]) / u.rows);`,
});

interface Plan {
  readonly size: number;
  readonly channels: number;
  readonly rows: number;
  readonly slices: number;
  readonly reduceGroups: number;
}

function planOf(x: TensorInfo): Plan {
  const size = sizeOf(x);
  const channels = x.shape[3]!;
  const rows = size / channels;
  const slices = Math.max(1, Math.min(64, Math.ceil(rows / 256)));
  return { size, channels, rows, slices, reduceGroups: slices * Math.ceil(channels / lanes) };
}

export const batchNormStatistics = webgpuKernel(BATCH_NORM_STATISTICS, ({ x }: { x: TensorInfo }) => {
  const { rows, channels, slices, reduceGroups } = planOf(x);
  const partial = allocate([slices, 2, channels]);
  const moments = allocate([2, channels]);
  const integers = [rows, channels, slices];
  dispatch(statisticsPartial, [x, partial], { integers }, reduceGroups);
  dispatch(statisticsTotal, [x, partial, moments], { integers }, Math.ceil(channels / 64));
  free(partial);
  return moments;
});

export const batchNormApply = webgpuKernel(
  BATCH_NORM_APPLY,
  (
    { x, moments, gamma, beta }: { x: TensorInfo; moments: TensorInfo; gamma: TensorInfo; beta: TensorInfo },
    { eps }: { eps: number },
  ) => {
    const { size, channels } = planOf(x);
    const y = allocate(x.shape);
    dispatch(apply, [x, moments, gamma, beta, y], { integers: [size, channels], floats: [eps] }, Math.ceil(size / 64));
    return y;
  },
);

export const batchNormGradient = webgpuKernel(
  BATCH_NORM_GRADIENT,
  (
    { x, dy, gamma, moments }: { x: TensorInfo; dy: TensorInfo; gamma: TensorInfo; moments: TensorInfo },
    { eps }: { eps: number },
  ) => {
    const { size, rows, channels, slices, reduceGroups } = planOf(x);
    const partial = allocate([slices, 2, channels]);
    const dGamma = allocate([channels]);
    const dBeta = allocate([channels]);
    const dx = allocate(x.shape);
    dispatch(gradientPartial, [x, dy, moments, partial], { integers: [rows, channels, slices] }, reduceGroups);
    dispatch(
      gradientTotal,
      [partial, moments, dGamma, dBeta],
      { integers: [channels, slices], floats: [eps] },
      Math.ceil(channels / 64),
    );
    dispatch(
      gradientInput,
      [x, dy, moments, gamma, dGamma, dBeta, dx],
      { integers: [size, channels], floats: [eps, rows] },
      Math.ceil(size / 64),
    );
    free(partial);
    return [dx, dGamma, dBeta];
  },
);
