import { describe, expect, it } from 'vitest';
import { imageSource } from '../../../src/dataset/imageSource.ts';
import type { Dataset, DatasetStore, ImageEntry } from '../../../src/dataset/types.ts';
import { memoryDatasetStore } from '../../../src/platform/node/memoryDatasetStore.ts';

/** Six images of 2 × 1 pixels, two a shard; image i is filled with i. */
function six(): { dataset: Dataset; store: DatasetStore; reads: number[]; failing: { once: boolean } } {
  const images = Array.from(
    { length: 6 },
    (_, i) => ({ shard: i >> 1, cacheOffset: (i & 1) * 6, cacheWidth: 2, cacheHeight: 1 }) as ImageEntry,
  );
  const reads: number[] = [];
  const failing = { once: false };
  const store: DatasetStore = {
    ...memoryDatasetStore(),
    readCaches: async (_, shard) => {
      reads.push(shard);
      await new Promise((resolve) => setTimeout(resolve, 2));
      if (failing.once) {
        failing.once = false;
        throw new Error('disk asleep');
      }
      return Uint8Array.from({ length: 12 }, (_, k) => 2 * shard + (k < 6 ? 0 : 1));
    },
  };
  return { dataset: { id: 'x', images } as unknown as Dataset, store, reads, failing };
}

describe('imageSource', () => {
  it('answers in the order asked for, each shard read once', async () => {
    const { dataset, store, reads } = six();
    const images = await imageSource(store, dataset, { cacheBytes: 1000 }).read([5, 0, 4, 1, 5]);
    expect(images.map(({ data }) => [...data])).toEqual([5, 0, 4, 1, 5].map((i) => Array<number>(6).fill(i)));
    expect(reads).toEqual([2, 0]);
  });

  it('drops the least recently used shard first, and keeps within its bytes', async () => {
    const { dataset, store, reads } = six();
    const source = imageSource(store, dataset, { cacheBytes: 24 });
    await source.read([0]);
    await source.read([2]);
    await source.read([1]);
    await source.read([4]);
    await source.read([0]);
    expect(reads).toEqual([0, 1, 2]);
    await source.read([3]);
    expect(reads).toEqual([0, 1, 2, 1]);
  });

  it('works with no memory to spare', async () => {
    const { dataset, store } = six();
    const images = await imageSource(store, dataset, { cacheBytes: 0 }).read([0, 1, 2, 3, 4, 5]);
    expect(images.map(({ data }) => data[0])).toEqual([0, 1, 2, 3, 4, 5]);
  });

  it('tries again after a failed read', async () => {
    const { dataset, store, failing } = six();
    const source = imageSource(store, dataset, { cacheBytes: 1000 });
    failing.once = true;
    await expect(source.read([0])).rejects.toThrow('disk asleep');
    expect((await source.read([0]))[0]?.data[0]).toBe(0);
  });
});
