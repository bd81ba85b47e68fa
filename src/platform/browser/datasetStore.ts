import { NoSuchDatasetError } from '../../dataset/errors.ts';
import type { Dataset, DatasetStore } from '../../dataset/types.ts';
import { keyValue, type KeyValue } from './keyValue.ts';

export interface SweepingDatasetStore extends DatasetStore {
  /**
   * Removes shards that no data set owns: what a closed tab left in the middle of an import, if that began more than `age` ms
   * ago (an id begins with its time). Not while an import is under way.
   */
  sweep(age: number): Promise<void>;
}

/** `dataset/ID` for the record, `cache/ID/N` and `original/ID/N` for its shards, in a database of their own. */
export function datasetStore(records: KeyValue = keyValue('pacerid-datasets', 'this data set')): SweepingDatasetStore {
  const key = (kind: 'cache' | 'original', id: string, shard: number): string =>
    `${kind}/${id}/${String(shard).padStart(6, '0')}`;
  const shardKeys = async (): Promise<string[]> => [
    ...(await records.keys('cache/')),
    ...(await records.keys('original/')),
  ];
  const readShard = async (kind: 'cache' | 'original', id: string, shard: number): Promise<Uint8Array> => {
    const bytes = await records.get<Uint8Array>(key(kind, id, shard));
    if (bytes === undefined) throw new NoSuchDatasetError(id);
    return bytes;
  };
  return {
    list: async () =>
      // Record by record: asking for all entries would load every shard.
      (await Promise.all((await records.keys('dataset/')).map((name) => records.get<Dataset>(name))))
        .filter((dataset) => dataset !== undefined)
        .sort((a, b) => b.createdAt - a.createdAt),
    read: (id) => records.get<Dataset>(`dataset/${id}`),
    write: (dataset) => records.set(`dataset/${dataset.id}`, dataset),
    writeShard: (id, shard, caches, originals) =>
      records.setMany([
        [key('cache', id, shard), caches],
        [key('original', id, shard), originals],
      ]),
    readCaches: (id, shard) => readShard('cache', id, shard),
    readOriginals: (id, shard) => readShard('original', id, shard),
    delete: async (id) => {
      // The record first: should this be cut off, the rest is swept at the next start.
      await records.del(`dataset/${id}`);
      await records.delMany((await shardKeys()).filter((name) => name.split('/')[1] === id));
    },
    sweep: async (age) => {
      const begun = (id: string): number => parseInt(id.split('-')[0] ?? '', 36) || 0;
      const ids = new Set((await records.keys('dataset/')).map((name) => name.slice('dataset/'.length)));
      const lost = (await shardKeys()).filter((name) => {
        const id = name.split('/')[1] ?? '';
        return !ids.has(id) && begun(id) <= Date.now() - age;
      });
      if (lost.length > 0) await records.delMany(lost);
    },
  };
}
