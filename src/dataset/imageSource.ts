import { shardMemory, shardSizes } from './shardMemory.ts';
import type { Dataset, DatasetStore, ImageEntry, ImageSource, RgbImage } from './types.ts';

/**
 * Reads uncropped caches. `cacheBytes`: what of their shards may stay in memory; one call may hold more for as long as it lasts. The
 * images are views into the shards: not to be written to.
 */
export function imageSource(store: DatasetStore, dataset: Dataset, options: { cacheBytes: number }): ImageSource {
  const shardOf = shardMemory(
    (shard) => store.readCaches(dataset.id, shard),
    shardSizes(dataset.images, cacheBytesOf),
    options.cacheBytes,
  );
  return {
    read: (indices) =>
      Promise.all(
        indices.map(async (index): Promise<RgbImage> => {
          const image = entryOf(dataset, index);
          const bytes = await shardOf(image.shard);
          const data = bytes.subarray(image.cacheOffset, image.cacheOffset + cacheBytesOf(image));
          return { width: image.cacheWidth, height: image.cacheHeight, data };
        }),
      ),
  };
}

function cacheBytesOf(image: ImageEntry): number {
  return image.cacheWidth * image.cacheHeight * 3;
}

export function entryOf(dataset: Dataset, index: number): ImageEntry {
  const image = dataset.images[index];
  if (image === undefined) throw new RangeError(`The data set has no image ${index}.`);
  return image;
}
