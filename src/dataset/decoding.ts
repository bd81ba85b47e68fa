import { decode as decodePngFile, hasPngSignature } from 'fast-png';
import { UnreadableImageError } from './errors.ts';
import { sniff } from './imageType.ts';
import { turned, withoutOrientation } from './orientation.ts';
import type { ImageDecoder, RgbImage } from './types.ts';

/**
 * A decoder that looks at the bytes first: what is no image, or is cut short, throws `UnreadableImageError` with the same words in
 * every engine. PNG is decoded here, in plain TypeScript: a canvas would premultiply alpha, and the pixels are to be the same
 * in Node and in the browser. JPEG and WebP go to the platform's decoder, which heeds a JPEG's orientation; a WebP's is heeded here.
 */
export function checkedDecoder(platform: ImageDecoder): ImageDecoder {
  return {
    decode: async (file) => {
      const found = sniff(file);
      if (found.type === null) {
        throw new UnreadableImageError(
          found.kind === null ? 'not an image' : `not an image of a kind that can be read (${found.kind})`,
        );
      }
      if (!found.whole) throw new UnreadableImageError('corrupt image (cut short)');
      if (found.type === 'png') return decodePng(file);
      if (found.type === 'jpeg') return platform.decode(file);
      const webp = withoutOrientation(file);
      return turned(await platform.decode(webp.file), webp.orientation);
    },
  };
}

/** Any PNG → uint8 RGB, as Pillow's `convert('RGB')`: grey is repeated, alpha is dropped, 16 bits keep the upper 8. */
function decodePng(file: Uint8Array): RgbImage {
  if (!hasPngSignature(file)) throw new UnreadableImageError('corrupt image');
  let png;
  try {
    png = decodePngFile(file, { checkCrc: true });
  } catch (cause) {
    throw new UnreadableImageError('corrupt image', cause);
  }
  const { width, height, channels, palette, depth } = png;
  const pixels = width * height;
  const out = new Uint8Array(pixels * 3);
  const sample = samples(png.data, width, height, channels, depth);
  for (let i = 0; i < pixels; i++) {
    const at = i * channels;
    if (palette) {
      const colour = palette[sample[at] as number] ?? [0, 0, 0];
      out.set([colour[0] ?? 0, colour[1] ?? 0, colour[2] ?? 0], i * 3);
    } else if (channels < 3) {
      out.fill(sample[at] as number, i * 3, i * 3 + 3);
    } else {
      out[i * 3] = sample[at] as number;
      out[i * 3 + 1] = sample[at + 1] as number;
      out[i * 3 + 2] = sample[at + 2] as number;
    }
  }
  if (!palette && depth < 8)
    for (let i = 0; i < out.length; i++) out[i] = ((out[i] as number) * 255) / (2 ** depth - 1);
  return { width, height, data: out };
}

/** One number a sample: depths under 8 come packed, rows begin at a byte; 16 bits lose their lower half. */
function samples(
  data: ArrayLike<number>,
  width: number,
  height: number,
  channels: number,
  depth: number,
): ArrayLike<number> {
  if (depth === 8) return data;
  const row = width * channels;
  const out = new Uint8Array(row * height);
  if (depth === 16) {
    for (let i = 0; i < out.length; i++) out[i] = (data[i] as number) >> 8;
    return out;
  }
  const rowBytes = Math.ceil((row * depth) / 8);
  for (let y = 0; y < height; y++) {
    for (let x = 0; x < row; x++) {
      const bit = x * depth;
      const byte = data[y * rowBytes + (bit >> 3)] as number;
      out[y * row + x] = (byte >> (8 - depth - (bit & 7))) & (2 ** depth - 1);
    }
  }
  return out;
}
