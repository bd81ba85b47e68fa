import { NoSuchDatasetError } from '../../dataset/errors.ts';
import type { DatasetStore } from '../../dataset/types.ts';
import { datasetRecords } from '../records.ts';
import { keyValue, type KeyValue } from './keyValue.ts';

export interface BrowserDatasetStore extends DatasetStore {
  /** How many lie here that a newer page stored: they are not listed. */
  newer(): Promise<number>;
  /**
   * Removes shards that no data set owns: what a closed tab left in the middle of an import, if that began more than `age` ms
   * ago (an id begins with its time). Not while an import is under way.
   */
  sweep(age: number): Promise<void>;
}

/**
 * `dataset/ID` for the record, `cache/ID/N` and `original/ID/N` for its shards, in a database of their own. Shards of a record that a newer
 * page stored are owned by it as those of any other.
 */
export function datasetStore(records: KeyValue = keyValue('pacerid-datasets', 'this data set')): BrowserDatasetStore {
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
  const all = async (): Promise<unknown[]> => (await records.entries('dataset/')).map(([, record]) => record);
  const stored = (id: string): Promise<unknown> => records.get(`dataset/${id}`);
  return {
    list: async () => datasetRecords.known(await all()).sort((a, b) => b.createdAt - a.createdAt),
    newer: async () => (await all()).filter(datasetRecords.isNewer).length,
    read: async (id) => datasetRecords.read(await stored(id)),
    write: async (dataset) => {
      datasetRecords.assertOurs(await stored(dataset.id));
      await records.set(`dataset/${dataset.id}`, dataset);
    },
    writeShard: (id, shard, caches, originals) =>
      records.setMany([
        [key('cache', id, shard), caches],
        [key('original', id, shard), originals],
      ]),
    readCaches: (id, shard) => readShard('cache', id, shard),
    readOriginals: (id, shard) => readShard('original', id, shard),
    delete: async (id) => {
      datasetRecords.assertOurs(await stored(id));
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
