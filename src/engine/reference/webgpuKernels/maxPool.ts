import { backend_util, type TensorInfo } from '@tensorflow/tfjs';
import { allocate, dispatch, shader, sizeOf, webgpuKernel } from './dispatch.ts';

/** WGSL compilers may assume that there is no NaN, so `v != v` won't do. */
const isNan = 'fn isNan(v : f32) -> bool { return (bitcast<u32>(v) & 0x7fffffffu) > 0x7f800000u; }';

/** NaN wins, as in torch: tfjs's drops it, and a diverged network would look healthy again after its pool. */
const forward = shader('maxPool', {
  reads: ['x'],
  writes: ['y'],
  integers: ['size', 'height', 'width', 'channels', 'outHeight', 'outWidth', 'kernel', 'stride', 'pad'],
  declarations: isNan,
  body: `
  if (index >= u.size) { return; }
  let c = index % u.channels;
  let left = ((index / u.channels) % u.outWidth) * u.stride - u.pad;
  let top = ((index / (u.channels * u.outWidth)) % u.outHeight) * u.stride - u.pad;
  let n = index / (u.channels * u.outWidth * u.outHeight);
  var highest = -3.4028234e38;
  for (var row = max(0, top); row < min(u.height, top + u.kernel); row++) {
    for (var column = max(0, left); column < min(u.width, left + u.kernel); column++) {
      let value = x[((n * u.height + row) * u.width + column) * u.channels + c];
      if (isNan(value) || (value > highest && !isNan(highest))) { highest = value; }
    }
  }
  y[index] = highest;`,
});

/**
 * One thread an input value: looks at each window that covers it and takes that window's gradient if it is its first maximum, as torch
 * does. (tfjs's own starts its search from zero, so windows of negative values give their gradient to nobody.)
 */
const backward = shader('maxPoolGrad', {
  reads: ['x', 'dy'],
  writes: ['dx'],
  integers: ['size', 'height', 'width', 'channels', 'outHeight', 'outWidth', 'kernel', 'stride', 'pad'],
  body: `
  if (index >= u.size) { return; }
  let c = index % u.channels;
  let column = (index / u.channels) % u.width;
  let row = (index / (u.channels * u.width)) % u.height;
  let n = index / (u.channels * u.width * u.height);
  var sum = 0.0;
  for (var oy = max(0, (row + u.pad - u.kernel) / u.stride); oy < u.outHeight && oy * u.stride - u.pad <= row; oy++) {
    for (var ox = max(0, (column + u.pad - u.kernel) / u.stride); ox < u.outWidth && ox * u.stride - u.pad <= column; ox++) {
      let top = oy * u.stride - u.pad;
      let left = ox * u.stride - u.pad;
      if (row >= top + u.kernel || column >= left + u.kernel) { continue; }
      var best = -1;
      var highest = 0.0;
      for (var y = max(0, top); y < min(u.height, top + u.kernel); y++) {
        for (var z = max(0, left); z < min(u.width, left + u.kernel); z++) {
          let at = ((n * u.height + y) * u.width + z) * u.channels + c;
          let value = x[at];
          if (best < 0 || value > highest) { best = at; highest = value; }
        }
      }
      if (best == index) { sum += dy[((n * u.outHeight + oy) * u.outWidth + ox) * u.channels + c]; }
    }
  }
  dx[index] = sum;`,
});

interface Attributes {
  readonly filterSize: number | [number, number];
  readonly strides: number | [number, number];
  readonly pad: number;
}

/** Square windows. `size`: threads, one a value of the result. */
function integersOf(x: TensorInfo, { filterSize, strides, pad }: Attributes) {
  const shape = x.shape as [number, number, number, number];
  const g = backend_util.computePool2DInfo(shape, filterSize, strides, 1, pad, undefined);
  const extents = [
    g.inHeight,
    g.inWidth,
    g.inChannels,
    g.outHeight,
    g.outWidth,
    g.filterHeight,
    g.strideHeight,
    g.padInfo.top,
  ];
  return { outShape: g.outShape, of: (size: number) => [size, ...extents] };
}

export const maxPool = webgpuKernel('MaxPool', ({ x }: { x: TensorInfo }, attributes: Attributes) => {
  const integers = integersOf(x, attributes);
  const y = allocate(integers.outShape);
  const size = sizeOf(y);
  dispatch(forward, [x, y], { integers: integers.of(size) }, Math.ceil(size / 64));
  return y;
});

export const maxPoolGrad = webgpuKernel(
  'MaxPoolGrad',
  ({ input, dy }: { input: TensorInfo; dy: TensorInfo }, attributes: Attributes) => {
    const integers = integersOf(input, attributes);
    const dx = allocate(input.shape);
    const size = sizeOf(dx);
    dispatch(backward, [input, dy, dx], { integers: integers.of(size) }, Math.ceil(size / 64));
    return dx;
  },
);
