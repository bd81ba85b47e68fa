import type { WeightCache } from '../../weights/types.ts';
import { weightRecords } from '../records.ts';
import { keyValue, type KeyValue } from './keyValue.ts';

export interface BrowserWeightStore extends WeightCache {
  /** How many lie here that a newer page stored: they are neither listed nor given. */
  newer(): Promise<number>;
}

/** Weights files in IndexedDB: the record and the bytes apart, so that a list doesn't load what it lists. */
export function weightStore(records: KeyValue = keyValue('pacerid-weights', 'these weights')): BrowserWeightStore {
  const about = (key: string) => `record/${key}`;
  const content = (key: string) => `bytes/${key}`;
  const all = async (): Promise<unknown[]> => (await records.entries('record/')).map(([, record]) => record);
  const assertOurs = async (key: string): Promise<void> => weightRecords.assertOurs(await records.get(about(key)));
  return {
    list: async () => weightRecords.known(await all()),
    newer: async () => (await all()).filter(weightRecords.isNewer).length,
    get: async (key) => {
      const record = weightRecords.known([await records.get(about(key))])[0];
      const bytes = await records.get<Uint8Array<ArrayBuffer>>(content(key));
      // One of a newer page counts as none: ImageNet weights are then fetched again, for this visit.
      return record === undefined || bytes === undefined ? undefined : { record, bytes };
    },
    set: async (record, bytes) => {
      await assertOurs(record.key);
      await records.setMany([
        [about(record.key), record],
        [content(record.key), bytes],
      ]);
    },
    delete: async (key) => {
      await assertOurs(key);
      await records.delMany([about(key), content(key)]);
    },
  };
}
