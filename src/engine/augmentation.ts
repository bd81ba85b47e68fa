import { normaliseInto, type ChannelStatistics } from './normalise.ts';

/**
 * Augmentation with given parameters, on the processor: torchvision's resized_crop (antialiased), hflip, affine (nearest pixel) and colour
 * steps, one after the other, in floating point. `compiled/wgsl/augmentationCode.ts` does the same on the GPU. Draws nothing,
 * and knows no tfjs: whoever shows what augmentation does calls it too.
 */

/** uint8 RGB, `[height, width, 3]`. */
export interface Picture {
  readonly width: number;
  readonly height: number;
  readonly data: Uint8Array;
}

/** The part of a picture that is kept, in its pixels. */
export interface CropBox {
  readonly top: number;
  readonly left: number;
  readonly height: number;
  readonly width: number;
}

export type JitterStep = readonly ['brightness' | 'contrast' | 'saturation', number];

/** Output pixel → position in its source, row-major: x' = m0 x + m1 y + m2, y' = m3 x + m4 y + m5; a pixel's centre is at + 0.5. */
export type AffineMatrix = readonly [number, number, number, number, number, number];

export interface Augmentation {
  /** Resized to the output's size. */
  readonly crop: CropBox;
  /** Mirrored, left for right, between crop and affine. */
  readonly flip: boolean;
  /** From the output to the resized crop. */
  readonly matrix: AffineMatrix;
  /** In the order in which they are applied, each with its factor; each kind at most once. */
  readonly jitter: readonly JitterStep[];
}

/** Share of each channel in the grey of a pixel (ITU-R 601-2, as PIL). */
export const GREY = [0.299, 0.587, 0.114] as const;

/** One picture, `[size, size, 3]`, 0–255. `canvas`: what it is drawn into, all zeros. */
export function augmentedPixels(
  picture: Picture,
  size: number,
  { crop, flip, matrix, jitter }: Augmentation,
  canvas = new Float32Array(size * size * 3),
): Float32Array {
  affine(canvas, resizedCrop(picture, size, crop), size, matrix, flip);
  applyJitter(canvas, jitter);
  return canvas;
}

/** The same, normalised, to `out` from `offset` on. */
export function augmentInto(
  out: Float32Array,
  offset: number,
  picture: Picture,
  size: number,
  augmentation: Augmentation,
  statistics: ChannelStatistics,
): void {
  const pixels = augmentedPixels(picture, size, augmentation, scratch.drawn(size * size * 3).fill(0));
  normaliseInto(out, offset, pixels, statistics);
}

interface Taps {
  /** First source pixel of each output pixel, and how many follow. */
  readonly first: Int32Array;
  readonly count: Int32Array;
  /** `most` an output pixel; those of a pixel sum to 1. */
  readonly most: number;
  readonly weights: Float64Array;
}

/**
 * PIL's triangle filter: as wide as the reduction, never narrower than a pixel. Its weights are ratios of whole numbers: with
 * m = max(from, to), source pixel t has 2 m − |(2 t + 1) to − (2 i + 1) from| in output pixel i, which the GPU computes without rounding.
 */
function triangle(from: number, to: number): Taps {
  const widest = Math.max(from, to);
  const most = 2 * Math.ceil(widest / to) + 1;
  const first = new Int32Array(to);
  const count = new Int32Array(to);
  const weights = new Float64Array(to * most);
  for (let i = 0; i < to; i++) {
    const centre = (2 * i + 1) * from;
    const low = Math.max(0, Math.trunc((centre - 2 * widest + to) / (2 * to)));
    const n = Math.min(from, Math.trunc((centre + 2 * widest + to) / (2 * to))) - low;
    let sum = 0;
    for (let t = 0; t < n; t++) {
      const weight = Math.max(0, 2 * widest - Math.abs((2 * (low + t) + 1) * to - centre));
      weights[i * most + t] = weight;
      sum += weight;
    }
    for (let t = 0; t < n; t++) weights[i * most + t]! /= sum;
    first[i] = low;
    count[i] = n;
  }
  return { first, count, most, weights };
}

/** Of pictures that nobody sees: megabytes of fresh memory an image cost as much as a filter. */
const scratch = { narrow: reused(), square: reused(), drawn: reused() };

function reused(): (length: number) => Float32Array<ArrayBuffer> {
  let kept = new Float32Array(0);
  return (length) => {
    if (kept.length < length) kept = new Float32Array(length);
    return kept.length === length ? kept : kept.subarray(0, length);
  };
}

/** `F.resized_crop(…, antialias=True)` to a square: rows first, then columns. */
function resizedCrop({ width, data }: Picture, size: number, crop: CropBox): Float32Array {
  const across = triangle(crop.width, size);
  const narrow = scratch.narrow(crop.height * size * 3);
  for (let y = 0, o = 0; y < crop.height; y++) {
    const row = (crop.top + y) * width + crop.left;
    for (let x = 0; x < size; x++, o += 3) {
      let i = (row + (across.first[x] as number)) * 3;
      let r = 0;
      let g = 0;
      let b = 0;
      const end = x * across.most + (across.count[x] as number);
      for (let w = x * across.most; w < end; w++, i += 3) {
        const weight = across.weights[w] as number;
        r += weight * (data[i] as number);
        g += weight * (data[i + 1] as number);
        b += weight * (data[i + 2] as number);
      }
      narrow[o] = r;
      narrow[o + 1] = g;
      narrow[o + 2] = b;
    }
  }
  const down = crop.height === crop.width ? across : triangle(crop.height, size);
  const row = size * 3;
  const out = scratch.square(size * row);
  const sums = new Float64Array(row);
  for (let y = 0; y < size; y++) {
    sums.fill(0);
    for (let t = 0; t < (down.count[y] as number); t++) {
      const weight = down.weights[y * down.most + t] as number;
      const source = ((down.first[y] as number) + t) * row;
      for (let i = 0; i < row; i++) sums[i]! += weight * (narrow[source + i] as number);
    }
    out.set(sums, y * row);
  }
  return out;
}

/**
 * An affine matrix as Pillow takes it where nothing is interpolated (`affine_fixed`, src/libImaging/Geometry.c): in 65,536ths of a pixel, so
 * that processor and GPU, which rounds otherwise, choose the same pixels. Pixel (x, y) comes from column (a0 x + a1 y + a2) >> 16 and row
 * (a3 x + a4 y + a5) >> 16.
 */
export function fixedAffine([m0, m1, m2, m3, m4, m5]: AffineMatrix): AffineMatrix {
  const fixed = (value: number): number => Math.floor(value * 65536 + 0.5);
  const across = fixed(m2 + m0 * 0.5 + m1 * 0.5);
  const down = fixed(m5 + m3 * 0.5 + m4 * 0.5);
  return [fixed(m0), fixed(m1), across, fixed(m3), fixed(m4), down];
}

/** `F.affine` with torchvision's default, the nearest pixel; what comes from outside stays as it is. */
function affine(out: Float32Array, source: Float32Array, size: number, matrix: AffineMatrix, flip: boolean): void {
  const [a0, a1, a2, a3, a4, a5] = fixedAffine(matrix);
  for (let y = 0, o = 0; y < size; y++) {
    for (let x = 0; x < size; x++, o += 3) {
      const column = (a0 * x + a1 * y + a2) >> 16;
      const row = (a3 * x + a4 * y + a5) >> 16;
      if (column < 0 || row < 0 || column >= size || row >= size) continue;
      const from = (row * size + (flip ? size - 1 - column : column)) * 3;
      out[o] = source[from] as number;
      out[o + 1] = source[from + 1] as number;
      out[o + 2] = source[from + 2] as number;
    }
  }
}

const grey = (rgb: Float32Array, i: number): number =>
  GREY[0] * (rgb[i] as number) + GREY[1] * (rgb[i + 1] as number) + GREY[2] * (rgb[i + 2] as number);

/** adjust_brightness, adjust_contrast, adjust_saturation: blends with black, the mean grey, the grey picture. In place. */
function applyJitter(rgb: Float32Array, steps: readonly JitterStep[]): void {
  for (const [kind, factor] of steps) {
    if (kind === 'saturation') blendWithGrey(rgb, factor);
    else blendWith(kind === 'contrast' ? meanGrey(rgb) : 0, rgb, factor);
  }
}

function meanGrey(rgb: Float32Array): number {
  let sum = 0;
  for (let i = 0; i < rgb.length; i += 3) sum += grey(rgb, i);
  return sum / (rgb.length / 3);
}

// A loop for each way to blend: one for all, which asks at each pixel, takes twice as long.

function blendWith(other: number, rgb: Float32Array, factor: number): void {
  const base = (1 - factor) * other;
  for (let i = 0; i < rgb.length; i++) rgb[i] = clamped(base + factor * (rgb[i] as number));
}

function blendWithGrey(rgb: Float32Array, factor: number): void {
  for (let i = 0; i < rgb.length; i += 3) {
    const base = (1 - factor) * grey(rgb, i);
    rgb[i] = clamped(base + factor * (rgb[i] as number));
    rgb[i + 1] = clamped(base + factor * (rgb[i + 1] as number));
    rgb[i + 2] = clamped(base + factor * (rgb[i + 2] as number));
  }
}

function clamped(value: number): number {
  return value < 0 ? 0 : value > 255 ? 255 : value;
}
