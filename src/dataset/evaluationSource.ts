import { turn } from '../turn.ts';
import { StoredImageError, UnreadableImageError } from './errors.ts';
import { evaluationCrop } from './geometry.ts';
import { entryOf } from './imageSource.ts';
import { inOrder } from './inOrder.ts';
import type { DataSettings } from './settings.ts';
import { shardMemory, shardSizes } from './shardMemory.ts';
import type { Dataset, DatasetStore, ImageDecoder, ImageSource, RgbImage } from './types.ts';

/** Crops that stay in memory: 1,783 of 224 × 224 pixels. */
const KEPT_BYTES = 256 * 2 ** 20;
/** Originals that stay in memory: neighbours lie in one shard, and shards have about 4 MiB. */
const ORIGINAL_BYTES = 32 * 2 ** 20;

/**
 * What the network sees in eval mode, `[img_size, img_size, 3]`: each original decoded and, in one go, resized and cropped, as torchvision's
 * test transform and the phone do it, and as Try does it. (The uncropped caches were resized once already.) Crops are kept, as a run asks for the
 * validation split after every epoch: the first ones for good, up to `keptBytes`; what is beyond is decoded again each time. After each
 * image that was decoded the event loop gets a turn. Throws `StoredImageError`, and what the store throws.
 */
export function evaluationSource(
  store: DatasetStore,
  dataset: Dataset,
  /** A checked one. */
  decoder: ImageDecoder,
  { img_size: size, geometry, num_workers }: Pick<DataSettings, 'img_size' | 'geometry' | 'num_workers'>,
  keptBytes = KEPT_BYTES,
): ImageSource {
  const room = Math.floor(keptBytes / (size * size * 3));
  const kept = new Map<number, RgbImage>();
  const shardOf = shardMemory(
    (shard) => store.readOriginals(dataset.id, shard),
    shardSizes(dataset.images, ({ fileBytes }) => fileBytes),
    ORIGINAL_BYTES,
  );
  const cropOf = async (index: number): Promise<RgbImage> => {
    const { path, shard, originalOffset, fileBytes } = entryOf(dataset, index);
    const originals = await shardOf(shard);
    try {
      const image = await decoder.decode(originals.subarray(originalOffset, originalOffset + fileBytes));
      return evaluationCrop(image, size, geometry);
    } catch (error) {
      if (error instanceof UnreadableImageError) throw new StoredImageError(path, error.reason, error);
      throw error;
    }
  };
  return {
    read: async (indices, between = turn) => {
      const made = new Map<number, RgbImage>();
      const missing = [...new Set(indices)].filter((index) => !kept.has(index));
      for await (const { item, result } of inOrder(missing, num_workers, cropOf)) {
        if (kept.size < room) kept.set(item, result);
        else made.set(item, result);
        await between();
      }
      return indices.map((index) => (kept.get(index) ?? made.get(index)) as RgbImage);
    },
  };
}
