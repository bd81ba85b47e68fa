import { backend_util, type TensorInfo } from '@tensorflow/tfjs';
import { allocate, dispatch, shader, sizeOf, webgpuKernel } from './dispatch.ts';

/**
 * One thread an input value: looks at each window that covers it and takes that window's gradient if it is its first maximum, as torch
 * does. (tfjs's own starts its search from zero, so windows of negative values give their gradient to nobody.)
 */
const program = shader('maxPoolGrad', {
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
  readonly filterSize: [number, number];
  readonly strides: [number, number];
  readonly pad: number;
}

/** Square windows. */
export const maxPoolGrad = webgpuKernel(
  'MaxPoolGrad',
  ({ input, dy }: { input: TensorInfo; dy: TensorInfo }, { filterSize, strides, pad }: Attributes) => {
    const shape = input.shape as [number, number, number, number];
    const g = backend_util.computePool2DInfo(shape, filterSize, strides, 1, pad, undefined);
    const dx = allocate(shape);
    const size = sizeOf(dx);
    const integers = [
      size,
      g.inHeight,
      g.inWidth,
      g.inChannels,
      g.outHeight,
      g.outWidth,
      filterSize[0],
      strides[0],
      pad,
    ];
    dispatch(program, [input, dy, dx], { integers }, Math.ceil(size / 64));
    return dx;
  },
);
