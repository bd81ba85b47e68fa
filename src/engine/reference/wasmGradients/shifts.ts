import type { TensorInfo } from '@tensorflow/tfjs';
import type { Geometry } from '../geometry.ts';
import { allocate, free, heap, view } from './heap.ts';
import { spread, summing } from './products.ts';
import { matrixProduct, transposed, withRegion } from './vectors.ts';

/** Numbers of the turned images that are held at a time. */
const most = 1 << 20;

/**
 * The filter's gradient of a convolution of stride 1, `[kH,kW,Cin,Cout]`, without gathering patches. Images and dy are laid on one grid
 * whose gaps of zeros are as wide as the padding; then a tap is nothing but a shift, and its gradient xᵀ, read from `shift` numbers
 * further on, times dy, which is packed once for all taps.
 */
export function filterGradientByShifts(x: TensorInfo, dy: TensorInfo, g: Geometry): TensorInfo {
  const { filterHeight, filterWidth, inChannels, outChannels, batchSize, inHeight, inWidth, outHeight, outWidth } = g;
  const { top, left } = g.padInfo;
  const right = outWidth + filterWidth - 1 - left - inWidth;
  const bottom = outHeight + filterHeight - 1 - top - inHeight;
  const pitch = Math.max(inWidth + Math.max(left, right), outWidth);
  const height = Math.max(inHeight + Math.max(top, bottom), outHeight);
  const shifts = Array.from(
    { length: filterHeight * filterWidth },
    (_, tap) => (Math.floor(tap / filterWidth) - top) * pitch + (tap % filterWidth) - left,
  );
  const lead = -shifts[0]!;
  const halo = shifts.at(-1)! + lead;
  const places = batchSize * height * pitch;
  const length = spread(Math.min(places, Math.max(halo, most / inChannels)) + halo);
  const step = length - halo;

  const images = onGrid(x, inHeight, inWidth, inChannels, { pitch, height, lead, places: lead + places + length });
  const gradients = onGrid(dy, outHeight, outWidth, outChannels, { pitch, height, lead: 0, places });
  const turned = allocate([inChannels * length + halo]);
  const slice = allocate([length, outChannels]);
  const result = allocate([filterHeight, filterWidth, inChannels, outChannels]);
  const sum = summing(result);
  view(turned).fill(0, inChannels * length);
  const size = inChannels * outChannels;
  for (let first = 0; first < places; first += step) {
    withRegion(images, first * inChannels, length * inChannels, (part) =>
      withRegion(turned, 0, inChannels * length, (target) => transposed(part, inChannels, target)),
    );
    const part = view(slice).fill(0);
    part.set(view(gradients).subarray(first * outChannels, Math.min(places, first + step) * outChannels));
    withRegion(slice, 0, length * outChannels, (packed) =>
      shifts.forEach((shift, tap) =>
        withRegion(turned, shift + lead, inChannels * length, (shifted) =>
          sum.next(tap * size, size, (out) => matrixProduct(shifted, packed, length, outChannels, out)),
        ),
      ),
    );
  }
  sum.free();
  free(images, gradients, turned, slice);
  return result;
}

interface Grid {
  /** Places from one row to the next. */
  readonly pitch: number;
  /** Rows from one image to the next. */
  readonly height: number;
  /** Empty places in front. */
  readonly lead: number;
  /** All of them. */
  readonly places: number;
}

/** `[N,H,W,C]` → `[places, C]`, zeros in the gaps. */
function onGrid(x: TensorInfo, height: number, width: number, channels: number, grid: Grid): TensorInfo {
  const output = allocate([grid.places, channels]);
  const { dataIdMap, wasm } = heap();
  const numbers = new Float32Array(wasm.HEAPU8.buffer);
  const source = dataIdMap.get(x.dataId).memoryOffset / 4;
  const target = dataIdMap.get(output.dataId).memoryOffset / 4;
  numbers.fill(0, target, target + grid.places * channels);
  const row = width * channels;
  for (let at = 0; at < x.shape[0]! * height; at++) {
    const place = grid.lead + (Math.floor(at / height) * grid.height + (at % height)) * grid.pitch;
    numbers.copyWithin(target + place * channels, source + at * row, source + (at + 1) * row);
  }
  return output;
}
