import { evaluationCrop } from '../dataset/geometry.ts';
import type { DataSettings } from '../dataset/settings.ts';
import type { RgbImage } from '../dataset/types.ts';
import { normaliseInto, type ChannelStatistics } from '../engine/normalise.ts';
import type { ImageBatch } from '../engine/types.ts';

export type { ChannelStatistics } from '../engine/normalise.ts';
export type Geometry = DataSettings['geometry'];

/** What the network sees in eval mode: crop or squash to `size`, normalised; `[n, size, size, 3] float32`. */
export function normalisedBatch(
  images: readonly RgbImage[],
  size: number,
  geometry: Geometry,
  statistics: ChannelStatistics,
): ImageBatch {
  const pixels = size * size * 3;
  const out = new Float32Array(images.length * pixels);
  images.forEach((image, i) => normaliseInto(out, i * pixels, evaluationCrop(image, size, geometry).data, statistics));
  return { images: out, n: images.length, size };
}
