import type { TensorInfo } from '@tensorflow/tfjs';
import type { Geometry } from '../geometry.ts';
import { gridsOf, imagesOnGrid, outputsOnGrid } from './grid.ts';
import { allocate, free, view } from './heap.ts';
import { summing, uncrowded } from './products.ts';
import { addColumns, inChunks, matrixProduct, multiply, partialSums, scratch, settled, transposed, withRegion } from './vectors.ts'; // prettier-ignore

/** Numbers of the turned images that are held at a time. */
const most = 1 << 20;

/**
 * The filter's gradient of a convolution, `[kH,kW,Cin,Cout]`, without gathering patches: that of a tap is xᵀ, read from its shift on, times
 * dy (grid.ts), which is packed once for all taps of a phase.
 */
export function filterGradientByShifts(x: TensorInfo, dy: TensorInfo, geometry: Geometry): TensorInfo {
  const { filterHeight, filterWidth, inChannels, outChannels } = geometry;
  const result = allocate([filterHeight, filterWidth, inChannels, outChannels]);
  const size = inChannels * outChannels;
  const sum = summing(result);
  for (const { grid, firstImage } of gridsOf(geometry)) {
    const { places, halo } = grid;
    const length = uncrowded(Math.min(places, Math.max(halo, most / inChannels)) + halo);
    const step = length - halo;
    const gradients = outputsOnGrid(dy, firstImage, grid);
    const turned = allocate([inChannels * length + halo]);
    const slice = allocate([length, outChannels]);
    // The last row is read beyond its end, times zero.
    view(turned).fill(0, inChannels * length);
    for (const phase of grid.phases) {
      const images = imagesOnGrid(x, firstImage, grid, phase, length);
      for (let first = 0; first < places; first += step) {
        withRegion(images, first * inChannels, length * inChannels, (part) =>
          withRegion(turned, 0, inChannels * length, (target) => transposed(part, inChannels, target)),
        );
        const part = view(slice).fill(0);
        part.set(view(gradients).subarray(first * outChannels, Math.min(places, first + step) * outChannels));
        withRegion(slice, 0, length * outChannels, (packed) => {
          for (const { index, shift } of phase.taps) {
            withRegion(turned, shift, inChannels * length, (shifted) =>
              sum.next(index * size, size, (out) => matrixProduct(shifted, packed, length, outChannels, out)),
            );
          }
        });
      }
      free(images);
    }
    free(gradients, turned, slice);
  }
  sum.free();
  return result;
}

/** The same of a depthwise convolution, `[kH,kW,C,1]`: of each tap the sums of x, read from its shift on, times dy. */
export function depthwiseFilterGradient(x: TensorInfo, dy: TensorInfo, geometry: Geometry): TensorInfo {
  const { filterHeight, filterWidth, inChannels: channels } = geometry;
  const result = allocate([filterHeight, filterWidth, channels, 1]);
  const partial = partialSums(channels);
  const products = scratch(channels);
  const sums = new Float64Array(filterHeight * filterWidth * channels);
  for (const { grid, firstImage } of gridsOf(geometry)) {
    const gradients = outputsOnGrid(dy, firstImage, grid);
    for (const phase of grid.phases) {
      const images = imagesOnGrid(x, firstImage, grid, phase, grid.halo);
      inChunks(grid.places * channels, channels, (first, length) =>
        withRegion(gradients, first, length, (gradient) =>
          withRegion(products, 0, length, (product) => {
            for (const { index, shift } of phase.taps) {
              withRegion(images, first + shift * channels, length, (shifted) => multiply(shifted, gradient, product));
              addColumns(product, sums.subarray(index * channels, (index + 1) * channels), partial);
            }
          }),
        ),
      );
      free(images);
    }
    free(gradients);
  }
  free(partial, products);
  view(result).set(settled(sums));
  return result;
}
