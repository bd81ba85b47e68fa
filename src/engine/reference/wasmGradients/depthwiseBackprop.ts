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

function scattered(dy: TensorInfo, filter: TensorInfo, g: Geometry, inputShape: number[]): TensorInfo {
  const dx = allocate(inputShape);
  const target = view(dx);
  target.fill(0);
  const gradient = view(dy);
  const weights = view(filter);
  const channels = g.inChannels;
  everyTap(g, (output, input, tap) => {
    for (let c = 0; c < channels; c++) {
      target[input + c] = target[input + c]! + gradient[output + c]! * weights[tap + c]!;
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
    everyTap(geometry, (output, input, tap) => {
      for (let c = 0; c < channels; c++) sums[tap + c] = sums[tap + c]! + source[input + c]! * gradient[output + c]!;
    });
    view(dw).set(sums);
    return dw;
  },
);

/** Calls `visit` with the offsets of each output pixel, the input pixel under a tap, and the tap. */
function everyTap(g: Geometry, visit: (output: number, input: number, tap: number) => void): void {
  const { batchSize, inHeight, inWidth, inChannels, outHeight, outWidth, strideHeight, strideWidth } = g;
  const { top, left } = g.padInfo;
  for (let n = 0; n < batchSize; n++) {
    for (let oy = 0; oy < outHeight; oy++) {
      for (let ky = 0; ky < g.filterHeight; ky++) {
        const iy = oy * strideHeight + ky - top;
        if (iy < 0 || iy >= inHeight) continue;
        for (let ox = 0; ox < outWidth; ox++) {
          const output = ((n * outHeight + oy) * outWidth + ox) * inChannels;
          for (let kx = 0; kx < g.filterWidth; kx++) {
            const ix = ox * strideWidth + kx - left;
            if (ix < 0 || ix >= inWidth) continue;
            visit(output, ((n * inHeight + iy) * inWidth + ix) * inChannels, (ky * g.filterWidth + kx) * inChannels);
          }
        }
      }
    }
  }
}
