import type { TensorInfo } from '@tensorflow/tfjs';
import { allocate, heap, view } from './heap.ts';

/**
 * Arithmetic by tfjs's own SIMD kernels (XNNPACK) on stretches of the heap, into a given place: a loop in JavaScript over the same numbers
 * takes ten times as long. On x86 `scaleAndShift` makes −∞ of NaN, as means do: what it is given must be known to be finite.
 */
export interface Region {
  /** The number by which the backend's kernels know it. */
  readonly id: number;
  /** In bytes. */
  readonly address: number;
  /** In numbers, float32. */
  readonly length: number;
}

/** Numbers worked on at a time: what several operations in a row touch then stays in the processor's second-level cache. */
const chunk = 32768;
/** Rows that are added in single precision; a power of two, so that XNNPACK's mean of them is their sum to the bit. */
const window = 32;
/** tfjs's numbers for its types and activations. */
const FLOAT32 = 0;
const LINEAR = 0;

/** Numbers that the binary's functions take. */
const arities = {
  Multiply: 8,
  Add: 8,
  Sub: 8,
  BatchMatMul: 9,
  Transpose: 7,
  Square: 3,
  Abs: 3,
  ClipByValue: 4,
  AvgPool: 14,
  FusedDepthwiseConv2D: 23,
} as const;
type Kernels = Readonly<Record<keyof typeof arities, (...numbers: number[]) => void>> & {
  /** Where on the heap shapes are handed over; in bytes. */
  readonly shapes: number;
};
const byModule = new WeakMap<object, Kernels>();

function kernels(): Kernels {
  const { wasm } = heap();
  let known = byModule.get(wasm);
  if (!known) {
    const functions = Object.entries(arities).map(([name, count]) => [
      name,
      wasm.cwrap(name, null, Array<'number'>(count).fill('number')),
    ]);
    known = { ...(Object.fromEntries(functions) as Kernels), shapes: wasm._malloc(4 * 8) >>> 0 };
    byModule.set(wasm, known);
  }
  return known;
}

/** Puts whole numbers where shapes are handed over, the first as number `at` of them; returns their address. */
function shape(at: number, ...extents: number[]): number {
  const address = kernels().shapes + 4 * at;
  const bytes = heap().wasm.HEAPU8;
  extents.forEach((extent, i) => {
    for (let byte = 0; byte < 4; byte++) bytes[address + 4 * i + byte] = extent >>> (8 * byte);
  });
  return address;
}

/** `length` numbers of a tensor from `first` on. */
export function withRegion<T>(tensor: TensorInfo, first: number, length: number, use: (region: Region) => T): T {
  const backend = heap();
  const address = backend.dataIdMap.get(tensor.dataId).memoryOffset + 4 * first;
  const id = backend.dataIdNextNumber++;
  backend.wasm.tfjs.registerTensor(id, length, address);
  try {
    return use({ id, address, length });
  } finally {
    backend.wasm.tfjs.disposeData(id);
  }
}

/** The same stretch of several tensors. */
export function withRegions(
  tensors: readonly TensorInfo[],
  first: number,
  length: number,
  use: (regions: readonly Region[]) => void,
  regions: readonly Region[] = [],
): void {
  if (regions.length === tensors.length) return use(regions);
  withRegion(tensors[regions.length]!, first, length, (region) =>
    withRegions(tensors, first, length, use, [...regions, region]),
  );
}

function elementwise(name: 'Multiply' | 'Add' | 'Sub', a: Region, b: Region, out: Region): void {
  kernels()[name](a.id, shape(0, a.length), 1, b.id, shape(1, b.length), 1, FLOAT32, out.id);
}

/** All of these write to `out`, which may be one of the others; `b` may hold a single number. */
export const multiply = (a: Region, b: Region, out: Region): void => elementwise('Multiply', a, b, out);
export const add = (a: Region, b: Region, out: Region): void => elementwise('Add', a, b, out);
export const subtract = (a: Region, b: Region, out: Region): void => elementwise('Sub', a, b, out);
export const square = (x: Region, out: Region): void => kernels().Square(x.id, FLOAT32, out.id);
export const absolute = (x: Region, out: Region): void => kernels().Abs(x.id, FLOAT32, out.id);
/** NaN becomes one of the two, or stays. */
export const clip = (x: Region, low: number, high: number, out: Region): void =>
  kernels().ClipByValue(x.id, low, high, out.id);

/** x · scale[c] + shift[c] on `[rows, C]`; `scale` and `shift` are tensors `[C]`, all finite, as is x. */
export function scaleAndShift(x: Region, scale: TensorInfo, shift: TensorInfo, out: Region): void {
  const { dataIdMap } = heap();
  const [channels] = scale.shape as [number];
  const [filter, bias] = [dataIdMap.get(scale.dataId).id, dataIdMap.get(shift.dataId).id];
  const unit = [0, 0, 0, 0, 0, 1, 1, 1, 1];
  kernels().FusedDepthwiseConv2D(
    ...[x.id, 1, x.length / channels, 1, filter, 1, 1, bias, ...unit, channels, channels, LINEAR, 0, 0, out.id],
  );
}

/** `[m,k]` · `[k,n]` → `[m,n]`; XNNPACK packs `b` when it first sees the region, which takes 3 ns a number. */
export function matrixProduct(a: Region, b: Region, k: number, n: number, out: Region): void {
  kernels().BatchMatMul(a.id, shape(0, 1, a.length / k, k), 3, b.id, shape(3, 1, k, n), 3, 0, 0, out.id);
}

/** `[rows, columns]` → `[columns, rows]`. */
export function transposed(x: Region, columns: number, out: Region): void {
  kernels().Transpose(x.id, shape(0, x.length / columns, columns), 2, FLOAT32, out.id, shape(2, 1, 0), 2);
}

/** A tensor `[C]`, the caller's to free. */
export function channelVector(values: Float64Array): TensorInfo {
  const vector = allocate([values.length]);
  view(vector).set(values);
  return vector;
}

/** Calls `work` for one stretch of whole rows after the other: first number and how many, never more than `chunkLength`. */
export function inChunks(size: number, channels: number, work: (first: number, length: number) => void): void {
  const step = chunkLength(channels);
  for (let first = 0; first < size; first += step) work(first, Math.min(step, size - first));
}

/** In numbers: rows of `channels` each. */
function chunkLength(channels: number): number {
  return Math.max(1, Math.floor(chunk / (channels * window))) * window * channels;
}

/** Adds the rows of `x` `[rows, C]` to `sums`, in double precision but for 32 at a time. What isn't finite becomes NaN. */
export function addColumns(x: Region, sums: Float64Array, partial: TensorInfo): void {
  const channels = sums.length;
  const windows = Math.floor(x.length / (channels * window));
  if (windows > 0) {
    const { id } = heap().dataIdMap.get(partial.dataId);
    // Rows as the height of an image one pixel wide.
    kernels().AvgPool(x.id, 1, windows * window, 1, window, 1, 0, 0, 0, 0, window, 1, channels, id);
    const means = view(partial);
    for (let row = 0; row < windows * channels; row += channels) {
      for (let c = 0; c < channels; c++) sums[c] = sums[c]! + window * means[row + c]!;
    }
  }
  const rest = new Float32Array(heap().wasm.HEAPU8.buffer, x.address, x.length);
  for (let row = windows * window * channels; row < x.length; row += channels) {
    for (let c = 0; c < channels; c++) sums[c] = sums[c]! + rest[row + c]!;
  }
}

/** What `addColumns` needs for chunks of `channels`. */
export function partialSums(channels: number): TensorInfo {
  return allocate([chunkLength(channels) / window]);
}

/** The sums, what is infinite as NaN: on x86 XNNPACK's mean of numbers with a NaN among them is −∞. */
export function settled(sums: Float64Array): Float64Array {
  return sums.map((sum) => (Number.isFinite(sum) ? sum : Number.NaN));
}

/** In single precision. */
export function allFinite(...vectors: readonly Float64Array[]): boolean {
  return vectors.every((vector) => vector.every((value) => Number.isFinite(Math.fround(value))));
}

/** Scratch for one chunk. */
export function scratch(channels: number): TensorInfo {
  return allocate([chunkLength(channels)]);
}
