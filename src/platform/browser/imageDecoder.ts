import { UnreadableImageError } from '../../dataset/errors.ts';
import type { ImageDecoder, RgbImage } from '../../dataset/types.ts';

/**
 * JPEG and WebP by the browser's own decoder: orientation applied, embedded colour profile ignored, alpha never multiplied
 * in. Opaque pixels pass through a 2D canvas unchanged; where an image has alpha, a canvas would premultiply, so WebGL reads it
 * (where there is no WebGL, the canvas does: colours under low alpha are then a little off).
 */
export function imageDecoder(): ImageDecoder {
  return {
    decode: async (file) => {
      let bitmap: ImageBitmap;
      try {
        bitmap = await createImageBitmap(new Blob([file as Uint8Array<ArrayBuffer>]), {
          colorSpaceConversion: 'none',
          premultiplyAlpha: 'none',
          imageOrientation: 'from-image',
        });
      } catch (cause) {
        throw new UnreadableImageError('corrupt image', cause);
      }
      try {
        return (mayHaveAlpha(file) ? readWithWebGl(bitmap) : null) ?? readWithCanvas(bitmap);
      } finally {
        bitmap.close();
      }
    },
  };
}

/** Extended WebP says so in a flag; lossless WebP may always have alpha; a JPEG has none. */
function mayHaveAlpha(file: Uint8Array): boolean {
  const chunk = String.fromCharCode(...file.subarray(12, 16));
  return file[0] === 0x52 && (chunk === 'VP8L' || (chunk === 'VP8X' && ((file[20] ?? 0) & 0x10) !== 0));
}

let canvas: OffscreenCanvas | undefined;

/** One canvas kept in the CPU's memory, grown as needed: reading back from a GPU's would cost more than the decoding. */
function readWithCanvas(bitmap: ImageBitmap): RgbImage {
  const { width, height } = bitmap;
  canvas ??= new OffscreenCanvas(width, height);
  if (canvas.width < width) canvas.width = width;
  if (canvas.height < height) canvas.height = height;
  const context = canvas.getContext('2d', { willReadFrequently: true, colorSpace: 'srgb' });
  if (context === null) throw new Error('This browser gives no canvas to a worker.');
  context.globalCompositeOperation = 'copy';
  context.imageSmoothingEnabled = false;
  context.drawImage(bitmap, 0, 0);
  return withoutAlpha(context.getImageData(0, 0, width, height).data, width, height);
}

let gl: WebGL2RenderingContext | null | undefined;

function readWithWebGl(bitmap: ImageBitmap): RgbImage | null {
  gl ??= new OffscreenCanvas(1, 1).getContext('webgl2');
  const { width, height } = bitmap;
  if (gl === null || gl.isContextLost() || Math.max(width, height) > gl.getParameter(gl.MAX_TEXTURE_SIZE)) return null;
  const texture = gl.createTexture();
  const framebuffer = gl.createFramebuffer();
  gl.bindTexture(gl.TEXTURE_2D, texture);
  gl.pixelStorei(gl.UNPACK_PREMULTIPLY_ALPHA_WEBGL, false);
  gl.pixelStorei(gl.UNPACK_COLORSPACE_CONVERSION_WEBGL, gl.NONE);
  gl.texImage2D(gl.TEXTURE_2D, 0, gl.RGBA, gl.RGBA, gl.UNSIGNED_BYTE, bitmap);
  gl.bindFramebuffer(gl.FRAMEBUFFER, framebuffer);
  gl.framebufferTexture2D(gl.FRAMEBUFFER, gl.COLOR_ATTACHMENT0, gl.TEXTURE_2D, texture, 0);
  const pixels = new Uint8Array(width * height * 4);
  gl.readPixels(0, 0, width, height, gl.RGBA, gl.UNSIGNED_BYTE, pixels);
  const failed = gl.getError() !== gl.NO_ERROR;
  gl.deleteFramebuffer(framebuffer);
  gl.deleteTexture(texture);
  return failed ? null : withoutAlpha(pixels, width, height);
}

function withoutAlpha(rgba: Uint8Array | Uint8ClampedArray, width: number, height: number): RgbImage {
  const data = new Uint8Array(width * height * 3);
  for (let from = 0, to = 0; to < data.length; from += 4, to += 3) {
    data[to] = rgba[from] as number;
    data[to + 1] = rgba[from + 1] as number;
    data[to + 2] = rgba[from + 2] as number;
  }
  return { width, height, data };
}
