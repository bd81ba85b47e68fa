import type { Dataset, DatasetStore, ImageEntry, ImageSource, RgbImage } from './types.ts';

/**
 * Reads uncropped caches through a bounded memory of shards, least recently used out first; shards are fetched at the same time,
 * each once. `cacheBytes`: what may stay in memory; one call may hold more for as long as it lasts. The images are views into the
 * shards: not to be written to.
 */
export function imageSource(store: DatasetStore, dataset: Dataset, options: { cacheBytes: number }): ImageSource {
  const sizes = new Map<number, number>();
  for (const image of dataset.images) sizes.set(image.shard, (sizes.get(image.shard) ?? 0) + cacheBytesOf(image));
  /** In order of use, the latest last. */
  const kept = new Map<number, Promise<Uint8Array>>();
  let keptBytes = 0;

  const drop = (shard: number): void => {
    if (kept.delete(shard)) keptBytes -= sizes.get(shard) ?? 0;
  };
  const shardOf = (shard: number): Promise<Uint8Array> => {
    const known = kept.get(shard);
    if (known !== undefined) {
      kept.delete(shard);
      kept.set(shard, known);
      return known;
    }
    const read = store.readCaches(dataset.id, shard);
    kept.set(shard, read);
    keptBytes += sizes.get(shard) ?? 0;
    // A failed read must not be remembered.
    read.catch(() => kept.get(shard) === read && drop(shard));
    for (const [oldest] of kept) {
      if (keptBytes <= options.cacheBytes || oldest === shard) break;
      drop(oldest);
    }
    return read;
  };

  return {
    read: (indices) =>
      Promise.all(
        indices.map(async (index): Promise<RgbImage> => {
          const image = dataset.images[index];
          if (image === undefined) throw new RangeError(`The data set has no image ${index}.`);
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
