import sharp from 'sharp';
import { UnreadableImageError } from '../../dataset/errors.ts';
import type { ImageDecoder, RgbImage } from '../../dataset/types.ts';

/** JPEG and WebP through libvips: orientation applied, embedded colour profile ignored, alpha dropped, 8-bit RGB. */
export function imageDecoder(): ImageDecoder {
  return {
    decode: async (file) => {
      try {
        const image = sharp(file, { ignoreIcc: true, limitInputPixels: 2 ** 28 }).autoOrient();
        const inks = (await image.metadata()).space === 'cmyk';
        const space = inks ? 'cmyk' : 'srgb';
        const { data, info } = await image
          .removeAlpha()
          .pipelineColourspace(space)
          .toColourspace(space)
          .raw({ depth: 'uchar' })
          .toBuffer({ resolveWithObject: true });
        if (info.channels !== (inks ? 4 : 3)) throw new Error(`${info.channels} channels`);
        const { width, height } = info;
        if (inks) return withoutBlack(data, width, height);
        return { width, height, data: new Uint8Array(data.buffer, data.byteOffset, data.length) };
      } catch (cause) {
        throw new UnreadableImageError('corrupt image', cause);
      }
    },
  };
}

/** CMYK, 255 is full ink → RGB as Chromium has it: no press's profile, ink takes light away. */
function withoutBlack(cmyk: Uint8Array, width: number, height: number): RgbImage {
  const data = new Uint8Array(width * height * 3);
  for (let from = 0, to = 0; to < data.length; from += 4, to += 3) {
    const light = 255 - (cmyk[from + 3] as number);
    for (let i = 0; i < 3; i++) data[to + i] = ((255 - (cmyk[from + i] as number)) * light) / 255;
  }
  return { width, height, data };
}
