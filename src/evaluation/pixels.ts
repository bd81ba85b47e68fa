import type { DataSettings } from '../dataset/settings.ts';
import type { RgbImage } from '../dataset/types.ts';
import { normaliseInto, type ChannelStatistics } from '../engine/normalise.ts';
import type { ImageBatch } from '../engine/types.ts';

export type Geometry = DataSettings['geometry'];

/** Crops of `size` × `size` pixels, normalised: `[n, size, size, 3] float32`. */
export function normalisedBatch(crops: readonly RgbImage[], size: number, statistics: ChannelStatistics): ImageBatch {
  const pixels = size * size * 3;
  const out = new Float32Array(crops.length * pixels);
  crops.forEach(({ width, height, data }, i) => {
    // An image that was only made smaller must not pass for what evaluation sees.
    if (width !== size || height !== size) throw new RangeError(`${width} × ${height} pixels are no crop of ${size}.`);
    normaliseInto(out, i * pixels, data, statistics);
  });
  return { images: out, n: crops.length, size };
}
