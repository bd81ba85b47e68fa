import { engine, type Tensor } from '@tensorflow/tfjs';
import { CLIP_EPSILON } from '../update.ts';
import { allocate, dispatch, free, shader } from './dispatch.ts';

/** Values that one workgroup adds up: a few hundred workgroups for the largest convolutions, one for most parameters. */
const SPAN = 16384;
const LANES = 256;

const addUp = `
  var stride = ${LANES / 2};
  loop {
    workgroupBarrier();
    if (stride == 0) { break; }
    if (lane < stride) { sums[lane] = sums[lane] + sums[lane + stride]; }
    stride = stride / 2;
  }`;

/** Each workgroup's sum of squares of its span, in an order that doesn't vary. */
const squares = shader('gradientSquares', {
  reads: ['gradient'],
  writes: ['partial'],
  integers: ['size', 'offset', 'groups'],
  workgroup: LANES,
  declarations: `var<workgroup> sums : array<f32, ${LANES}>;`,
  body: `
  var sum = 0.0;
  for (var i = group * ${SPAN} + lane; i < min((group + 1) * ${SPAN}, u.size); i = i + ${LANES}) {
    sum = sum + gradient[i] * gradient[i];
  }
  sums[lane] = sum;
  ${addUp}
  if (lane == 0 && group < u.groups) { partial[u.offset + group] = sums[0]; }`,
});

const scale = shader('clipScale', {
  reads: ['partial'],
  writes: ['scale'],
  integers: ['count'],
  floats: ['maxNorm', 'epsilon'],
  workgroup: LANES,
  declarations: `var<workgroup> sums : array<f32, ${LANES}>;`,
  body: `
  var sum = 0.0;
  for (var i = lane; i < u.count; i = i + ${LANES}) { sum = sum + partial[i]; }
  sums[lane] = sum;
  ${addUp}
  if (lane == 0) { scale[0] = min(1.0, u.maxNorm / (sqrt(sums[0]) + u.epsilon)); }`,
});

/** `clipScale` in one dispatch a gradient and one for all: the device alone knows the norm, and nobody waits for it. */
export function clipScaleOnWebGpu(gradients: readonly Tensor[], maxNorm: number): Tensor {
  const groups = gradients.map(({ size }) => Math.ceil(size / SPAN));
  const count = groups.reduce((sum, each) => sum + each, 0);
  const partial = allocate([count]);
  let offset = 0;
  gradients.forEach((gradient, i) => {
    const own = groups[i]!;
    dispatch(squares, [gradient, partial], { integers: [gradient.size, offset, own] }, own);
    offset += own;
  });
  const result = allocate([]);
  dispatch(scale, [partial, result], { integers: [count], floats: [maxNorm, CLIP_EPSILON] }, 1);
  free(partial);
  return engine().makeTensorFromTensorInfo(result);
}
