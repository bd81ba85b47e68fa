/**
 * Reads shards through a bounded memory, the least recently used out first; each is fetched once, however many ask for it at the same
 * time. `sizes`: bytes of each shard; `bytes`: what may stay in memory. A failed read is not remembered.
 */
export function shardMemory(
  read: (shard: number) => Promise<Uint8Array>,
  sizes: ReadonlyMap<number, number>,
  bytes: number,
): (shard: number) => Promise<Uint8Array> {
  /** In order of use, the latest last. */
  const kept = new Map<number, Promise<Uint8Array>>();
  let keptBytes = 0;

  const drop = (shard: number): void => {
    if (kept.delete(shard)) keptBytes -= sizes.get(shard) ?? 0;
  };
  return (shard) => {
    const known = kept.get(shard);
    if (known !== undefined) {
      kept.delete(shard);
      kept.set(shard, known);
      return known;
    }
    const reading = read(shard);
    kept.set(shard, reading);
    keptBytes += sizes.get(shard) ?? 0;
    reading.catch(() => kept.get(shard) === reading && drop(shard));
    for (const [oldest] of kept) {
      if (keptBytes <= bytes || oldest === shard) break;
      drop(oldest);
    }
    return reading;
  };
}

/** Shard → the sum of `bytesOf` over its images. */
export function shardSizes<T extends { readonly shard: number }>(
  images: readonly T[],
  bytesOf: (image: T) => number,
): ReadonlyMap<number, number> {
  const sizes = new Map<number, number>();
  for (const image of images) sizes.set(image.shard, (sizes.get(image.shard) ?? 0) + bytesOf(image));
  return sizes;
}
