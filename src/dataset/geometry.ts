import { resize } from './resize.ts';
import type { DataSettings } from './settings.ts';
import type { RgbImage } from './types.ts';

export { resize } from './resize.ts';

export interface Size {
  readonly width: number;
  readonly height: number;
}

/** Short side of the uncropped cache for images that will be used at `imgSize` pixels: room for crops and shifts. */
export function cacheShortSide(imgSize: number): number {
  return Math.ceil((imgSize * 115) / 100);
}

/** Size with the short side at `short` pixels; the long side is rounded down, as torchvision's `Resize(short)` does. */
export function shortSideTo(short: number, { width, height }: Size): Size {
  return width <= height
    ? { width: short, height: Math.floor((short * height) / width) }
    : { width: Math.floor((short * width) / height), height: short };
}

/** Size of the uncropped cache: never larger than the original. */
export function cacheSize(original: Size, shortSide: number): Size {
  return Math.min(original.width, original.height) <= shortSide ? original : shortSideTo(shortSide, original);
}

/** At most `side` pixels on the long side; never enlarged, never under one pixel. */
export function thumbnail(image: RgbImage, side: number): RgbImage {
  const scale = side / Math.max(image.width, image.height);
  if (scale >= 1) return image;
  return resize(image, Math.max(1, Math.round(image.width * scale)), Math.max(1, Math.round(image.height * scale)));
}

/**
 * What the network sees outside training, `[size, size, 3]` uint8. `center_crop`: torchvision's `Resize(size)` and
 * `CenterCrop(size)`, which is also what an iPhone's Vision does with `.centerCrop`, but for roundings that move no pixel by one of the
 * network's; `squash`: `Resize((size, size))`, Vision's `.scaleFill`.
 */
export function evaluationCrop(image: RgbImage, size: number, geometry: DataSettings['geometry']): RgbImage {
  if (geometry === 'squash') return resize(image, size, size);
  const { width, height, left, top } = centreCrop(image, size);
  return crop(resize(image, width, height), left, top, size, size);
}

/** The size that an image is scaled to, in whole pixels, and where its crop begins there. */
export function centreCrop(image: Size, size: number): Size & { readonly left: number; readonly top: number } {
  const scaled = shortSideTo(size, image);
  return { ...scaled, left: halfToEven(scaled.width - size), top: halfToEven(scaled.height - size) };
}

/** `n` / 2 for n ≥ 0, a half rounded to the even neighbour, as Python's `round` in torchvision's `center_crop`. */
function halfToEven(n: number): number {
  const down = Math.floor(n / 2);
  return n % 2 === 1 && down % 2 === 1 ? down + 1 : down;
}

function crop(image: RgbImage, left: number, top: number, width: number, height: number): RgbImage {
  if (left === 0 && top === 0 && width === image.width && height === image.height) return image;
  const data = new Uint8Array(width * height * 3);
  for (let y = 0; y < height; y++) {
    const from = ((top + y) * image.width + left) * 3;
    data.set(image.data.subarray(from, from + width * 3), y * width * 3);
  }
  return { width, height, data };
}
