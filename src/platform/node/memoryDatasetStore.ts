import { NoSuchDatasetError } from '../../dataset/errors.ts';
import type { Dataset, DatasetStore } from '../../dataset/types.ts';

/** Data sets in this process's memory, for tests and headless runs. */
export function memoryDatasetStore(): DatasetStore {
  const records = new Map<string, Dataset>();
  const shards = new Map<string, { caches: Uint8Array; originals: Uint8Array }>();
  const read = (id: string, shard: number): { caches: Uint8Array; originals: Uint8Array } => {
    const found = shards.get(`${id}/${shard}`);
    if (found === undefined) throw new NoSuchDatasetError(id);
    return found;
  };
  return {
    list: () => Promise.resolve([...records.values()].sort((a, b) => b.createdAt - a.createdAt)),
    read: (id) => Promise.resolve(records.get(id)),
    write: (dataset) => Promise.resolve(void records.set(dataset.id, dataset)),
    writeShard: (id, shard, caches, originals) =>
      Promise.resolve(void shards.set(`${id}/${shard}`, { caches, originals })),
    readCaches: async (id, shard) => Promise.resolve(read(id, shard).caches),
    readOriginals: async (id, shard) => Promise.resolve(read(id, shard).originals),
    delete: (id) => {
      records.delete(id);
      for (const key of [...shards.keys()]) if (key.startsWith(`${id}/`)) shards.delete(key);
      return Promise.resolve();
    },
  };
}
