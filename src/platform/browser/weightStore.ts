import type { WeightCache, WeightRecord } from '../../weights/types.ts';
import { keyValue } from './keyValue.ts';

/** Weights files in IndexedDB: the record and the bytes apart, so that a list doesn't load what it lists. */
export function weightStore(): WeightCache {
  const store = keyValue('pacerid-weights', 'these weights');
  const about = (key: string) => `record/${key}`;
  const content = (key: string) => `bytes/${key}`;
  return {
    async list() {
      const keys = await store.keys('record/');
      const records = await Promise.all(keys.map((key) => store.get<WeightRecord>(key)));
      return records.filter((record) => record !== undefined);
    },
    async get(key) {
      const record = await store.get<WeightRecord>(about(key));
      const bytes = await store.get<Uint8Array<ArrayBuffer>>(content(key));
      return record === undefined || bytes === undefined ? undefined : { record, bytes };
    },
    set: (record, bytes) =>
      store.setMany([
        [about(record.key), record],
        [content(record.key), bytes],
      ]),
    delete: (key) => store.delMany([about(key), content(key)]),
  };
}
