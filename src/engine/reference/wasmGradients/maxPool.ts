import { backend_util, type TensorInfo } from '@tensorflow/tfjs';
import { allocate, view } from './heap.ts';
import { wasmKernel } from './kernel.ts';

interface Attributes {
  readonly filterSize: number | [number, number];
  readonly strides: number | [number, number];
  readonly pad: number;
}

function geometryOf(x: TensorInfo, { filterSize, strides, pad }: Attributes) {
  return backend_util.computePool2DInfo(
    x.shape as [number, number, number, number],
    filterSize,
    strides,
    1,
    pad,
    undefined,
  );
}

/** As tfjs's, but NaN wins, as in torch: XNNPACK drops it, and a diverged network would look healthy again after its pool. */
export const maxPool = wasmKernel('MaxPool', ({ x }: { x: TensorInfo }, attributes: Attributes) => {
  const g = geometryOf(x, attributes);
  const output = allocate(g.outShape);
  const y = view(output);
  y.fill(-Infinity);
  const source = view(x);
  const channels = g.inChannels;
  let to = 0;
  for (let n = 0; n < g.batchSize; n++) {
    for (let oy = 0; oy < g.outHeight; oy++) {
      const top = oy * g.strideHeight - g.padInfo.top;
      for (let ox = 0; ox < g.outWidth; ox++, to += channels) {
        const left = ox * g.strideWidth - g.padInfo.left;
        for (let row = Math.max(0, top); row < Math.min(g.inHeight, top + g.filterHeight); row++) {
          for (let column = Math.max(0, left); column < Math.min(g.inWidth, left + g.filterWidth); column++) {
            const from = ((n * g.inHeight + row) * g.inWidth + column) * channels;
            for (let c = 0; c < channels; c++) {
              const value = source[from + c]!;
              if (value > y[to + c]! || value !== value) y[to + c] = value;
            }
          }
        }
      }
    }
  }
  return output;
});

/**
 * The gradient goes to the first maximum of a window, as torch's does. tfjs's own wasm kernel gives it to every maximum, so after
 * a ReLU, where ties of zeros are usual, its gradients are wrong.
 */
export const maxPoolGrad = wasmKernel(
  'MaxPoolGrad',
  ({ input, dy }: { input: TensorInfo; dy: TensorInfo }, attributes: Attributes) => {
    const g = geometryOf(input, attributes);
    const output = allocate(g.inShape);
    const dx = view(output);
    dx.fill(0);
    const x = view(input);
    const gradient = view(dy);
    const channels = g.inChannels;
    const best = new Float32Array(channels);
    const place = new Int32Array(channels);
    let from = 0;
    for (let n = 0; n < g.batchSize; n++) {
      for (let oy = 0; oy < g.outHeight; oy++) {
        const top = oy * g.strideHeight - g.padInfo.top;
        for (let ox = 0; ox < g.outWidth; ox++, from += channels) {
          const left = ox * g.strideWidth - g.padInfo.left;
          best.fill(-Infinity);
          place.fill(-1);
          for (let y = Math.max(0, top); y < Math.min(g.inHeight, top + g.filterHeight); y++) {
            for (let column = Math.max(0, left); column < Math.min(g.inWidth, left + g.filterWidth); column++) {
              const at = ((n * g.inHeight + y) * g.inWidth + column) * channels;
              for (let c = 0; c < channels; c++) {
                const value = x[at + c]!;
                // NaN wins, as in torch: a broken activation must not be hidden.
                if (value > best[c]! || place[c]! < 0 || value !== value) {
                  best[c] = value;
                  place[c] = at + c;
                }
              }
            }
          }
          for (let c = 0; c < channels; c++) dx[place[c]!] = dx[place[c]!]! + gradient[from + c]!;
        }
      }
    }
    return output;
  },
);
