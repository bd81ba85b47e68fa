import type { RgbImage } from './types.ts';

/** Fixed-point bits of a weight: 32 − 8 (a pixel) − 2 (sign, overshoot), as in Pillow. */
const BITS = 32 - 8 - 2;

interface Weights {
  /** First input pixel of each output pixel, and how many follow. */
  readonly first: Int32Array;
  readonly count: Int32Array;
  /** `taps` fixed-point weights an output pixel. */
  readonly taps: number;
  readonly weights: Int32Array;
}

/** Antialiased triangle filter: as wide as the reduction, never narrower than a pixel. */
function triangleWeights(from: number, to: number): Weights {
  const scale = from / to;
  const support = Math.max(scale, 1);
  const taps = Math.ceil(support) * 2 + 1;
  const first = new Int32Array(to);
  const count = new Int32Array(to);
  const weights = new Int32Array(to * taps);
  const raw = new Float64Array(taps);
  for (let i = 0; i < to; i++) {
    const centre = (i + 0.5) * scale;
    const low = Math.max(0, Math.trunc(centre - support + 0.5));
    const n = Math.min(from, Math.trunc(centre + support + 0.5)) - low;
    let sum = 0;
    const step = 1 / support;
    for (let t = 0; t < n; t++) {
      const weight = Math.max(0, 1 - Math.abs((t + low - centre + 0.5) * step));
      raw[t] = weight;
      sum += weight;
    }
    first[i] = low;
    count[i] = n;
    for (let t = 0; t < n; t++) {
      const share = sum === 0 ? (raw[t] as number) : (raw[t] as number) / sum;
      weights[i * taps + t] = Math.trunc(0.5 + share * (1 << BITS));
    }
  }
  return { first, count, taps, weights };
}

function horizontally(image: RgbImage, width: number): RgbImage {
  const { first, count, taps, weights } = triangleWeights(image.width, width);
  const { height, data } = image;
  const out = new Uint8Array(width * height * 3);
  for (let y = 0, to = 0; y < height; y++) {
    const row = y * image.width * 3;
    for (let x = 0; x < width; x++, to += 3) {
      const n = count[x] as number;
      const w = x * taps;
      let source = row + (first[x] as number) * 3;
      let r = 1 << (BITS - 1);
      let g = r;
      let b = r;
      for (let t = 0; t < n; t++, source += 3) {
        const weight = weights[w + t] as number;
        r = (r + (data[source] as number) * weight) | 0;
        g = (g + (data[source + 1] as number) * weight) | 0;
        b = (b + (data[source + 2] as number) * weight) | 0;
      }
      out[to] = clip(r);
      out[to + 1] = clip(g);
      out[to + 2] = clip(b);
    }
  }
  return { width, height, data: out };
}

function vertically(image: RgbImage, height: number): RgbImage {
  const { first, count, taps, weights } = triangleWeights(image.height, height);
  const row = image.width * 3;
  const out = new Uint8Array(row * height);
  const sums = new Int32Array(row);
  for (let y = 0; y < height; y++) {
    sums.fill(1 << (BITS - 1));
    for (let t = 0; t < (count[y] as number); t++) {
      const weight = weights[y * taps + t] as number;
      const source = ((first[y] as number) + t) * row;
      for (let i = 0; i < row; i++) {
        sums[i] = (sums[i] as number) + (image.data[source + i] as number) * weight;
      }
    }
    for (let i = 0; i < row; i++) out[y * row + i] = clip(sums[i] as number);
  }
  return { width: image.width, height, data: out };
}

function clip(sum: number): number {
  const value = sum >> BITS;
  return value < 0 ? 0 : value > 255 ? 255 : value;
}

/**
 * Antialiased bilinear resize of uint8 RGB, equal bit for bit to Pillow's `Image.resize((width, height), BILINEAR)`, and so to
 * torchvision's `Resize` on PIL images: rows first, then columns, weights in fixed point, rounded to 8 bits after each
 * pass (Pillow, src/libImaging/Resample.c). `width`, `height`: pixels, at least 1.
 */
export function resize(image: RgbImage, width: number, height: number): RgbImage {
  const across = width === image.width ? image : horizontally(image, width);
  return height === image.height ? across : vertically(across, height);
}
