import type { TensorInfo } from '@tensorflow/tfjs';
import { allocate, free, view } from './heap.ts';
import { convolutionGeometry, type ConvolutionAttributes, type Geometry } from '../geometry.ts';
import { matMul, transpose, wasmKernel } from './kernel.ts';

type Attributes = ConvolutionAttributes & { readonly filterShape: number[] };

/**
 * dW `[kH,kW,Cin,Cout]` = patchesᵀ `[kH·kW·Cin, N·Ho·Wo]` · dy `[N·Ho·Wo, Cout]`: one product, so that dy is packed once. The patches are
 * gathered already transposed; a 1×1 convolution needs only the transpose.
 */
export const conv2dBackpropFilter = wasmKernel(
  'Conv2DBackpropFilter',
  ({ x, dy }: { x: TensorInfo; dy: TensorInfo }, attributes: Attributes) => {
    const geometry = convolutionGeometry(x.shape, attributes.filterShape, attributes, false);
    const { filterHeight, filterWidth, inChannels, outChannels, batchSize, outHeight, outWidth, padInfo } = geometry;
    const rows = batchSize * outHeight * outWidth;
    const taps = filterHeight * filterWidth;
    const plain = taps === 1 && geometry.strideHeight === 1 && geometry.strideWidth === 1 && padInfo.top === 0;
    const patches = plain ? transpose(x, rows, inChannels) : transposedPatches(x, geometry);
    const result = matMul(patches, dy, taps * inChannels, rows, outChannels);
    free(patches);
    result.shape = attributes.filterShape;
    return result;
  },
);

/** `[kH·kW·Cin, N·Ho·Wo]`, zeros where a tap falls outside. */
function transposedPatches(x: TensorInfo, g: Geometry): TensorInfo {
  const { batchSize, inHeight, inWidth, inChannels, outHeight, outWidth, strideHeight, strideWidth } = g;
  const { top, left } = g.padInfo;
  const rows = batchSize * outHeight * outWidth;
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
      for (let n = 0; n < batchSize; n++) {
        for (let oy = 0; oy < outHeight; oy++) {
          const iy = oy * strideHeight + ky - top;
          const column = (n * outHeight + oy) * outWidth;
          const inside = iy >= 0 && iy < inHeight;
          const origin = ((n * inHeight + iy) * inWidth + first * strideWidth + kx - left) * inChannels;
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
