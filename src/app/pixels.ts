import type { RgbImage } from '../workers/protocol.ts';

/** `[h, w, 3] uint8` → what a canvas takes, `[h, w, 4]`, opaque. */
export function imageData({ width, height, data }: RgbImage): ImageData {
  const rgba = new Uint8ClampedArray(width * height * 4);
  for (let from = 0, to = 0; to < rgba.length; from += 3, to += 4) {
    rgba[to] = data[from] ?? 0;
    rgba[to + 1] = data[from + 1] ?? 0;
    rgba[to + 2] = data[from + 2] ?? 0;
    rgba[to + 3] = 255;
  }
  return new ImageData(rgba, width, height);
}
