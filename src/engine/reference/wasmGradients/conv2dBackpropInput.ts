import type { TensorInfo } from '@tensorflow/tfjs';
import { allocate, free, view } from './heap.ts';
import { convolutionGeometry, type ConvolutionAttributes, type Geometry } from '../geometry.ts';
import { call, matMul, transpose, wasmKernel } from './kernel.ts';

type Attributes = ConvolutionAttributes & { readonly inputShape: number[] };

/**
 * Stride 1: a forward convolution of dy with the filter turned by 180° and its channels swapped. Otherwise dy · Wᵀ, whose columns are
 * then added to where they came from: exactly the multiplications needed, none with inserted zeros.
 */
export const conv2dBackpropInput = wasmKernel(
  'Conv2DBackpropInput',
  ({ dy, filter }: { dy: TensorInfo; filter: TensorInfo }, attributes: Attributes) => {
    const geometry = convolutionGeometry(attributes.inputShape, filter.shape, attributes, false);
    const { filterHeight, filterWidth, inChannels, outChannels, batchSize, outHeight, outWidth, padInfo } = geometry;
    const rows = batchSize * outHeight * outWidth;
    const taps = filterHeight * filterWidth;
    const unit = geometry.strideHeight === 1 && geometry.strideWidth === 1;
    if (unit && taps === 1 && padInfo.top === 0) {
      const turned = transpose(filter, inChannels, outChannels);
      const dx = matMul(dy, turned, rows, outChannels, inChannels);
      free(turned);
      dx.shape = attributes.inputShape;
      return dx;
    }
    if (unit) return turnedConvolution(dy, filter, geometry);
    // [kH·kW·Cin, Cout] → [Cout, kH·kW·Cin]
    const turned = transpose(filter, taps * inChannels, outChannels);
    const columns = matMul(dy, turned, rows, outChannels, taps * inChannels);
    free(turned);
    const dx = scattered(columns, geometry, attributes.inputShape);
    free(columns);
    return dx;
  },
);

function turnedConvolution(dy: TensorInfo, filter: TensorInfo, g: Geometry): TensorInfo {
  const { filterHeight, filterWidth, inChannels, outChannels } = g;
  const turned = allocate([filterHeight, filterWidth, outChannels, inChannels]);
  const source = view(filter);
  const target = view(turned);
  const taps = filterHeight * filterWidth;
  const size = inChannels * outChannels;
  for (let tap = 0; tap < taps; tap++) {
    const from = tap * size;
    const to = (taps - 1 - tap) * size;
    for (let o = 0; o < outChannels; o++) {
      for (let i = 0; i < inChannels; i++) target[to + o * inChannels + i] = source[from + i * outChannels + o]!;
    }
  }
  const dx = call('Conv2D', { x: dy, filter: turned }, turnedAttributes(g));
  free(turned);
  return dx;
}

/**
 * Attributes of the forward convolution that stands for the backward one of stride 1. Padding wider than kernel − 1 becomes less than none:
 * XNNPACK counts modulo 2³², so that it leaves out the outputs that saw nothing.
 */
export function turnedAttributes(g: Geometry): object {
  const top = g.filterHeight - 1 - g.padInfo.top;
  const left = g.filterWidth - 1 - g.padInfo.left;
  const bottom = g.inHeight - g.outHeight + g.filterHeight - 1 - top;
  const right = g.inWidth - g.outWidth + g.filterWidth - 1 - left;
  const pad = [
    [0, 0],
    [top, bottom],
    [left, right],
    [0, 0],
  ];
  return { strides: [1, 1], pad, dataFormat: 'NHWC', dilations: [1, 1], dimRoundingMode: undefined };
}

/** `[N·Ho·Wo, kH·kW·Cin]` added up into `[N,H,W,Cin]`. */
function scattered(columns: TensorInfo, g: Geometry, inputShape: number[]): TensorInfo {
  const { batchSize, inHeight, inWidth, inChannels, outHeight, outWidth, strideHeight, strideWidth } = g;
  const { top, left } = g.padInfo;
  const dx = allocate(inputShape);
  const target = view(dx);
  const source = view(columns);
  target.fill(0);
  let from = 0;
  for (let n = 0; n < batchSize; n++) {
    for (let oy = 0; oy < outHeight; oy++) {
      for (let ox = 0; ox < outWidth; ox++) {
        for (let ky = 0; ky < g.filterHeight; ky++) {
          const iy = oy * strideHeight + ky - top;
          for (let kx = 0; kx < g.filterWidth; kx++, from += inChannels) {
            const ix = ox * strideWidth + kx - left;
            if (iy < 0 || iy >= inHeight || ix < 0 || ix >= inWidth) continue;
            const to = ((n * inHeight + iy) * inWidth + ix) * inChannels;
            for (let c = 0; c < inChannels; c++) target[to + c] = target[to + c]! + source[from + c]!;
          }
        }
      }
    }
  }
  return dx;
}
