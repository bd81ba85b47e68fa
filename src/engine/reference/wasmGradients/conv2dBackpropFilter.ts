import type { TensorInfo } from '@tensorflow/tfjs';
import { allocate, free, view } from './heap.ts';
import { convolutionGeometry, type ConvolutionAttributes, type Geometry } from '../geometry.ts';
import { wasmKernel } from './kernel.ts';
import { productOverRows, summing } from './products.ts';
import { filterGradientByShifts } from './shifts.ts';
import { matrixProduct, withRegion } from './vectors.ts';

type Attributes = ConvolutionAttributes & { readonly filterShape: number[] };

/** Values of patches held at a time, 32 MiB: a whole batch's would be hundreds. */
const patchValues = 8 << 20;

/** With fewer the products of single taps are too narrow. */
const manyChannels = 16;

/**
 * dW `[kH,kW,Cin,Cout]` = patchesᵀ `[kH·kW·Cin, N·Ho·Wo]` · dy `[N·Ho·Wo, Cout]`. Patches are only gathered
 * of few channels: already transposed, as many images at a time as fit, so that dy is packed once.
 */
export const conv2dBackpropFilter = wasmKernel(
  'Conv2DBackpropFilter',
  ({ x, dy }: { x: TensorInfo; dy: TensorInfo }, attributes: Attributes) => {
    const geometry = convolutionGeometry(x.shape, attributes.filterShape, attributes, false);
    const { filterHeight, filterWidth, inChannels, outChannels, batchSize, outHeight, outWidth, padInfo } = geometry;
    const pixels = outHeight * outWidth;
    const taps = filterHeight * filterWidth * inChannels;
    const unit = geometry.strideHeight === 1 && geometry.strideWidth === 1;
    if (unit && taps === inChannels && padInfo.top === 0 && padInfo.left === 0) {
      const result = productOverRows(x, dy, batchSize * pixels, inChannels, outChannels);
      result.shape = attributes.filterShape;
      return result;
    }
    if (inChannels >= manyChannels) return filterGradientByShifts(x, dy, geometry);
    const atOnce = Math.max(1, Math.floor(patchValues / (taps * pixels)));
    const result = allocate(attributes.filterShape);
    const sum = summing(result);
    for (let first = 0; first < batchSize; first += atOnce) {
      const images = Math.min(atOnce, batchSize - first);
      const rows = images * pixels;
      const patches = transposedPatches(x, geometry, first, images);
      withRegion(patches, 0, taps * rows, (left) =>
        withRegion(dy, first * pixels * outChannels, rows * outChannels, (right) =>
          sum.next(0, taps * outChannels, (out) => matrixProduct(left, right, rows, outChannels, out)),
        ),
      );
      free(patches);
    }
    sum.free();
    return result;
  },
);

/** `[kH·kW·Cin, images·Ho·Wo]`, zeros where a tap falls outside. */
function transposedPatches(x: TensorInfo, g: Geometry, firstImage: number, images: number): TensorInfo {
  const { inHeight, inWidth, inChannels, outHeight, outWidth, strideHeight, strideWidth } = g;
  const { top, left } = g.padInfo;
  const rows = images * outHeight * outWidth;
  const patches = allocate([g.filterHeight * g.filterWidth * inChannels, rows]);
  const target = view(patches);
  const source = view(x);
  for (let ky = 0; ky < g.filterHeight; ky++) {
    for (let kx = 0; kx < g.filterWidth; kx++) {
      const tap = (ky * g.filterWidth + kx) * inChannels;
      // Output columns whose tap falls inside.
      const first = Math.max(0, Math.ceil((left - kx) / strideWidth));
      const end = Math.max(first, Math.min(outWidth, Math.floor((inWidth - 1 + left - kx) / strideWidth) + 1));
      const step = strideWidth * inChannels;
      for (let n = 0; n < images; n++) {
        for (let oy = 0; oy < outHeight; oy++) {
          const iy = oy * strideHeight + ky - top;
          const column = (n * outHeight + oy) * outWidth;
          const inside = iy >= 0 && iy < inHeight;
          const origin = (((firstImage + n) * inHeight + iy) * inWidth + first * strideWidth + kx - left) * inChannels;
          for (let c = 0; c < inChannels; c++) {
            const row = (tap + c) * rows + column;
            if (!inside) {
              target.fill(0, row, row + outWidth);
              continue;
            }
            for (let ox = 0; ox < first; ox++) target[row + ox] = 0;
            for (let ox = first, from = origin + c; ox < end; ox++, from += step) target[row + ox] = source[from]!;
            for (let ox = end; ox < outWidth; ox++) target[row + ox] = 0;
          }
        }
      }
    }
  }
  return patches;
}
