import type { TensorInfo } from '@tensorflow/tfjs';
import type { Geometry } from '../geometry.ts';
import { allocate, beginning, floats } from './heap.ts';

const mostNumbers = 8 << 20;

/**
 * A batch's images and the outputs of a convolution on one grid of places, row by row, image by image, so that a tap is a shift: output
 * pixel at place p saw the input pixel at place p + shift. Gaps of zeros are the padding; the one that ends a row begins the next. With a
 * stride of s input pixels are on s² such grids, its phases, and each tap belongs to one of them.
 */
export interface Grid {
  readonly geometry: Geometry;
  /** Places from one row to the next. */
  readonly pitch: number;
  /** Rows from one image to the next. */
  readonly height: number;
  readonly places: number;
  /** The largest shift. */
  readonly halo: number;
  readonly phases: readonly Phase[];
}

interface Phase {
  readonly y: number;
  readonly x: number;
  readonly taps: readonly { readonly index: number; readonly shift: number }[];
}

function gridOf(geometry: Geometry): Grid {
  const { filterHeight, filterWidth, strideHeight, strideWidth, padInfo, batchSize } = geometry;
  const pitch = extent(geometry.inWidth, geometry.outWidth, filterWidth, strideWidth, padInfo.left);
  const height = extent(geometry.inHeight, geometry.outHeight, filterHeight, strideHeight, padInfo.top);
  const phases = new Map<number, { y: number; x: number; taps: { index: number; shift: number }[] }>();
  let halo = 0;
  for (let index = 0; index < filterHeight * filterWidth; index++) {
    const [ky, kx] = [Math.floor(index / filterWidth), index % filterWidth];
    const [y, x] = [ky % strideHeight, kx % strideWidth];
    const shift = Math.floor(ky / strideHeight) * pitch + Math.floor(kx / strideWidth);
    const phase = phases.get(y * strideWidth + x) ?? { y, x, taps: [] };
    phase.taps.push({ index, shift });
    phases.set(y * strideWidth + x, phase);
    halo = Math.max(halo, shift);
  }
  return { geometry, pitch, height, places: batchSize * height * pitch, halo, phases: [...phases.values()] };
}

/** Places from one row (or image) to the next, so that what a tap sees beyond the end is a gap of zeros. */
function extent(input: number, output: number, filter: number, stride: number, before: number): number {
  const seen = output + Math.floor((filter - 1) / stride);
  const filled = Math.min(seen, Math.floor((input - 1 + before) / stride) + 1);
  return Math.max(output, filled, seen - Math.floor(before / stride));
}

/**
 * The grids of a batch, a few images each: no copy of the images has more than 32 MiB, but for one that needs them alone. `firstImage` is
 * handed to the functions below.
 */
export function gridsOf(geometry: Geometry): { readonly grid: Grid; readonly firstImage: number }[] {
  const one = gridOf({ ...geometry, batchSize: 1 });
  const channels = Math.max(geometry.inChannels, geometry.outChannels);
  const atOnce = Math.max(1, Math.floor(mostNumbers / (one.places * channels)));
  const count = Math.ceil(geometry.batchSize / atOnce);
  return Array.from({ length: count }, (_, i) => {
    const firstImage = i * atOnce;
    const batchSize = Math.min(atOnce, geometry.batchSize - firstImage);
    return { grid: gridOf({ ...geometry, batchSize }), firstImage };
  });
}

/** One phase of the images, `[places + more, C]`. */
export function imagesOnGrid(x: TensorInfo, firstImage: number, grid: Grid, phase: Phase, more: number): TensorInfo {
  const { strideHeight, strideWidth, padInfo, inHeight, inWidth } = grid.geometry;
  const rows = { size: inHeight, stride: strideHeight, before: padInfo.top - phase.y };
  const columns = { size: inWidth, stride: strideWidth, before: padInfo.left - phase.x };
  return laidOut(x, firstImage, grid, rows, columns, more);
}

/** The output's gradient, `[places, C]`. */
export function outputsOnGrid(dy: TensorInfo, firstImage: number, grid: Grid): TensorInfo {
  const { outHeight, outWidth } = grid.geometry;
  const [rows, columns] = [outHeight, outWidth].map((size) => ({ size, stride: 1, before: 0 }));
  return laidOut(dy, firstImage, grid, rows!, columns!, 0);
}

/** Pixel i is at (i + before) / stride, where that is a whole number. */
interface Axis {
  readonly size: number;
  readonly stride: number;
  readonly before: number;
}

function laidOut(x: TensorInfo, firstImage: number, grid: Grid, rows: Axis, columns: Axis, more: number): TensorInfo {
  const channels = x.shape[3]!;
  const output = allocate([grid.places + more, channels]);
  const numbers = floats();
  const [source, target] = [beginning(x), beginning(output)];
  numbers.fill(0, target, target + (grid.places + more) * channels);
  // Neighbours stay neighbours where the stride is 1: whole rows at once.
  const run = columns.stride === 1 ? Math.min(columns.size, grid.pitch - columns.before) : 1;
  for (let image = 0; image < grid.geometry.batchSize; image++) {
    for (let y = first(rows); y < rows.size; y += rows.stride) {
      const row = (y + rows.before) / rows.stride;
      if (row >= grid.height) break;
      for (let c = first(columns); c < columns.size; c += columns.stride === 1 ? columns.size : columns.stride) {
        const column = (c + columns.before) / columns.stride;
        if (column >= grid.pitch) break;
        const to = target + ((image * grid.height + row) * grid.pitch + column) * channels;
        const from = source + (((firstImage + image) * rows.size + y) * columns.size + c) * channels;
        numbers.copyWithin(to, from, from + run * channels);
      }
    }
  }
  return output;
}

/** The first pixel that has a place: before the first one there may be none. */
function first({ stride, before }: Axis): number {
  return before >= 0 ? (stride - (before % stride)) % stride : -before;
}
