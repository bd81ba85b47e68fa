import sharp from 'sharp';
import { UnreadableImageError } from '../../dataset/errors.ts';
import type { ImageDecoder } from '../../dataset/types.ts';

/** JPEG and WebP through libvips: orientation applied, embedded colour profile ignored, alpha dropped, 8-bit RGB. */
export function imageDecoder(): ImageDecoder {
  return {
    decode: async (file) => {
      try {
        const { data, info } = await sharp(file, { ignoreIcc: true, limitInputPixels: 2 ** 28 })
          .autoOrient()
          .removeAlpha()
          .toColourspace('srgb')
          .raw({ depth: 'uchar' })
          .toBuffer({ resolveWithObject: true });
        if (info.channels !== 3) throw new Error(`${info.channels} channels`);
        return {
          width: info.width,
          height: info.height,
          data: new Uint8Array(data.buffer, data.byteOffset, data.length),
        };
      } catch (cause) {
        throw new UnreadableImageError('corrupt image', cause);
      }
    },
  };
}
