import type { TensorInfo } from '@tensorflow/tfjs';
import { turnedAttributes } from './conv2dBackpropInput.ts';
import { convolutionGeometry, type ConvolutionAttributes } from '../geometry.ts';
import { allocate, beginning, floats, free, view } from './heap.ts';
import { call, wasmKernel } from './kernel.ts';
import { depthwiseFilterGradient } from './shifts.ts';

/** Filter `[kH,kW,C,1]`, channel multiplier 1. */
export const depthwiseBackpropInput = wasmKernel(
  'DepthwiseConv2dNativeBackpropInput',
  (
    { dy, filter }: { dy: TensorInfo; filter: TensorInfo },
    attributes: ConvolutionAttributes & { readonly inputShape: number[] },
  ) => {
    const geometry = convolutionGeometry(attributes.inputShape, filter.shape, attributes, true);
    const { filterHeight, filterWidth, inChannels, strideHeight, strideWidth, outHeight, outWidth } = geometry;
    const turned = allocate(filter.shape);
    const source = view(filter);
    const target = view(turned);
    const taps = filterHeight * filterWidth;
    for (let tap = 0; tap < taps; tap++) {
      const to = (taps - 1 - tap) * inChannels;
      for (let c = 0; c < inChannels; c++) target[to + c] = source[tap * inChannels + c]!;
    }
    const unit = strideHeight === 1 && strideWidth === 1;
    const spread = unit ? dy : spreadOut(dy, strideHeight, strideWidth);
    const extents = {
      ...geometry,
      outHeight: (outHeight - 1) * strideHeight + 1,
      outWidth: (outWidth - 1) * strideWidth + 1,
    };
    const dx = call('DepthwiseConv2dNative', { x: spread, filter: turned }, turnedAttributes(extents));
    free(turned);
    if (!unit) free(spread);
    return dx;
  },
);

/** With `stride − 1` rows and columns of zeros between neighbours: what a larger stride skipped. */
function spreadOut(dy: TensorInfo, strideHeight: number, strideWidth: number): TensorInfo {
  const [images, height, width, channels] = dy.shape as [number, number, number, number];
  const [rows, columns] = [(height - 1) * strideHeight + 1, (width - 1) * strideWidth + 1];
  const output = allocate([images, rows, columns, channels]);
  const numbers = floats();
  const target = beginning(output);
  numbers.fill(0, target, target + images * rows * columns * channels);
  let from = beginning(dy);
  for (let n = 0; n < images; n++) {
    for (let y = 0; y < rows; y += strideHeight) {
      for (let x = 0; x < columns; x += strideWidth, from += channels) {
        numbers.copyWithin(target + ((n * rows + y) * columns + x) * channels, from, from + channels);
      }
    }
  }
  return output;
}

export const depthwiseBackpropFilter = wasmKernel(
  'DepthwiseConv2dNativeBackpropFilter',
  (
    { x, dy }: { x: TensorInfo; dy: TensorInfo },
    attributes: ConvolutionAttributes & { readonly filterShape: number[] },
  ) => {
    return depthwiseFilterGradient(x, dy, convolutionGeometry(x.shape, attributes.filterShape, attributes, true));
  },
);
