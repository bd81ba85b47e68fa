import type { TensorInfo } from '@tensorflow/tfjs';
import { turnedAttributes } from './conv2dBackpropInput.ts';
import { convolutionGeometry, type ConvolutionAttributes, type Geometry } from '../geometry.ts';
import { allocate, free, view } from './heap.ts';
import { call, wasmKernel } from './kernel.ts';

/** Filter `[kH,kW,C,1]`, channel multiplier 1. */
export const depthwiseBackpropInput = wasmKernel(
  'DepthwiseConv2dNativeBackpropInput',
  (
    { dy, filter }: { dy: TensorInfo; filter: TensorInfo },
    attributes: ConvolutionAttributes & { readonly inputShape: number[] },
  ) => {
    const geometry = convolutionGeometry(attributes.inputShape, filter.shape, attributes, true);
    if (geometry.strideHeight !== 1 || geometry.strideWidth !== 1) {
      return scattered(dy, filter, geometry, attributes.inputShape);
    }
    const { filterHeight, filterWidth, inChannels } = geometry;
    const turned = allocate(filter.shape);
    const source = view(filter);
    const target = view(turned);
    const taps = filterHeight * filterWidth;
    for (let tap = 0; tap < taps; tap++) {
      const to = (taps - 1 - tap) * inChannels;
      for (let c = 0; c < inChannels; c++) target[to + c] = source[tap * inChannels + c]!;
    }
    const dx = call('DepthwiseConv2dNative', { x: dy, filter: turned }, turnedAttributes(geometry));
    free(turned);
    return dx;
  },
);

/** Larger strides: each tap's products are added to where they came from. */
function scattered(dy: TensorInfo, filter: TensorInfo, g: Geometry, inputShape: number[]): TensorInfo {
  const dx = allocate(inputShape);
  const target = view(dx);
  target.fill(0);
  const gradient = view(dy);
  const weights = view(filter);
  const channels = g.inChannels;
  const step = g.strideWidth * channels;
  everyTapRow(g, (output, input, tap, count) => {
    for (let c = 0; c < channels; c++) {
      const weight = weights[tap + c]!;
      let to = input + c;
      const end = output + c + count * channels;
      for (let from = output + c; from < end; from += channels, to += step) {
        target[to] = target[to]! + gradient[from]! * weight;
      }
    }
  });
  return dx;
}

export const depthwiseBackpropFilter = wasmKernel(
  'DepthwiseConv2dNativeBackpropFilter',
  (
    { x, dy }: { x: TensorInfo; dy: TensorInfo },
    attributes: ConvolutionAttributes & { readonly filterShape: number[] },
  ) => {
    const geometry = convolutionGeometry(x.shape, attributes.filterShape, attributes, true);
    const dw = allocate(attributes.filterShape);
    const source = view(x);
    const gradient = view(dy);
    const channels = geometry.inChannels;
    const sums = new Float64Array(geometry.filterHeight * geometry.filterWidth * channels);
    const step = geometry.strideWidth * channels;
    // The channel outside, the row inside: a sum stays in a register for a whole row.
    everyTapRow(geometry, (output, input, tap, count) => {
      for (let c = 0; c < channels; c++) {
        let sum = 0;
        let from = input + c;
        const end = output + c + count * channels;
        for (let at = output + c; at < end; at += channels, from += step) sum += source[from]! * gradient[at]!;
        sums[tap + c] = sums[tap + c]! + sum;
      }
    });
    view(dw).set(sums);
    return dw;
  },
);

/**
 * Calls `visit` for every tap and every row of output pixels that it reaches inside the image: offsets of the first output pixel, of the
 * input pixel under the tap, and of the tap, and how many output pixels there are.
 */
function everyTapRow(g: Geometry, visit: (output: number, input: number, tap: number, count: number) => void): void {
  const { batchSize, inHeight, inWidth, inChannels, outHeight, outWidth, strideHeight, strideWidth } = g;
  const { top, left } = g.padInfo;
  for (let n = 0; n < batchSize; n++) {
    for (let oy = 0; oy < outHeight; oy++) {
      for (let ky = 0; ky < g.filterHeight; ky++) {
        const iy = oy * strideHeight + ky - top;
        if (iy < 0 || iy >= inHeight) continue;
        for (let kx = 0; kx < g.filterWidth; kx++) {
          const first = Math.max(0, Math.ceil((left - kx) / strideWidth));
          const end = Math.min(outWidth, Math.floor((inWidth - 1 + left - kx) / strideWidth) + 1);
          if (end <= first) continue;
          const output = ((n * outHeight + oy) * outWidth + first) * inChannels;
          const input = ((n * inHeight + iy) * inWidth + first * strideWidth + kx - left) * inChannels;
          visit(output, input, (ky * g.filterWidth + kx) * inChannels, end - first);
        }
      }
    }
  }
}
