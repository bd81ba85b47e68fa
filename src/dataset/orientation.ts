import type { RgbImage } from './types.ts';

/**
 * Exif's orientation (1–8) of a WebP file, and the file without it. Browsers disagree on whether to heed it there (Chromium does not,
 * libvips does), so no decoder gets to see it. https://developers.google.com/speed/webp/docs/riff_container
 */
export function withoutOrientation(webp: Uint8Array): { file: Uint8Array; orientation: number } {
  const view = new DataView(webp.buffer, webp.byteOffset, webp.byteLength);
  for (let at = 12; at + 8 <= webp.length;) {
    const length = view.getUint32(at + 4, true);
    if (nameAt(webp, at) === 'EXIF') {
      const file = webp.slice();
      // A chunk of a name that nobody knows is passed over.
      file.set([0x78, 0x78, 0x78, 0x78], at);
      return { file, orientation: orientationOf(webp.subarray(at + 8, at + 8 + length)) };
    }
    at += 8 + length + (length % 2);
  }
  return { file: webp, orientation: 1 };
}

function nameAt(bytes: Uint8Array, at: number): string {
  return String.fromCharCode(...bytes.subarray(at, at + 4));
}

/** Tag 0x0112 of the first directory of a TIFF structure, which some writers put behind `Exif\0\0`; 1 where there is none. */
function orientationOf(exif: Uint8Array): number {
  const tiff = nameAt(exif, 0) === 'Exif' ? exif.subarray(6) : exif;
  const little = tiff[0] === 0x49;
  const view = new DataView(tiff.buffer, tiff.byteOffset, tiff.byteLength);
  if (tiff.length < 8 || view.getUint16(2, little) !== 42) return 1;
  const directory = view.getUint32(4, little);
  if (directory + 2 > tiff.length) return 1;
  for (let i = 0; i < view.getUint16(directory, little); i++) {
    const entry = directory + 2 + 12 * i;
    if (entry + 12 > tiff.length) return 1;
    if (view.getUint16(entry, little) !== 0x0112) continue;
    const value = view.getUint16(entry + 8, little);
    return value >= 1 && value <= 8 ? value : 1;
  }
  return 1;
}

/** As Pillow's `exif_transpose`: 2–4 mirror or turn by half, 5–8 also exchange width and height. */
export function turned(image: RgbImage, orientation: number): RgbImage {
  if (orientation === 1) return image;
  const transposed = orientation >= 5;
  const fromRight = [2, 3, 7, 8].includes(orientation);
  const fromBottom = [3, 4, 6, 7].includes(orientation);
  const { width, height } = image;
  const [outWidth, outHeight] = transposed ? [height, width] : [width, height];
  const data = new Uint8Array(image.data.length);
  for (let y = 0; y < outHeight; y++) {
    for (let x = 0; x < outWidth; x++) {
      const [u, v] = transposed ? [y, x] : [x, y];
      const from = ((fromBottom ? height - 1 - v : v) * width + (fromRight ? width - 1 - u : u)) * 3;
      data.set(image.data.subarray(from, from + 3), (y * outWidth + x) * 3);
    }
  }
  return { width: outWidth, height: outHeight, data };
}
