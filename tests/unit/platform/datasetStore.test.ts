import { beforeEach, describe, expect, it } from 'vitest';
import type { Dataset } from '../../../src/dataset/types.ts';
import { datasetStore } from '../../../src/platform/browser/datasetStore.ts';
import { memoryKeyValue } from '../support/memoryKeyValue.ts';

const dataset = (id: string, createdAt: number): Dataset => ({
  schema: 1,
  id,
  name: id,
  source: 'zip',
  synthetic: false,
  layout: 'flat',
  classes: ['a', 'b'],
  images: [],
  skipped: [],
  warnings: [],
  cacheShortSide: 37,
  hash: id,
  createdAt,
  storedBytes: 4,
});

describe('data sets in IndexedDB', () => {
  let database: ReturnType<typeof memoryKeyValue>;
  beforeEach(() => (database = memoryKeyValue()));

  it('are listed with the newest first, and deleted with their shards', async () => {
    const store = datasetStore(database.records);
    for (const [i, id] of ['1-a', '2-b'].entries()) {
      await store.writeShard(id, 0, Uint8Array.of(i), Uint8Array.of(i, i));
      await store.write(dataset(id, i));
    }
    expect((await store.list()).map(({ id }) => id)).toEqual(['2-b', '1-a']);
    await store.delete('2-b');
    expect([...database.held.keys()]).toEqual(['cache/1-a/000000', 'original/1-a/000000', 'dataset/1-a']);
  });

  it('what no record owns is swept; what a newer page stored is owned by its record', async () => {
    const store = datasetStore(database.records);
    await store.writeShard('1-lost', 0, Uint8Array.of(1), Uint8Array.of(2));
    await store.writeShard('2-newer', 0, Uint8Array.of(3), Uint8Array.of(4));
    const newer = { schema: 2, id: '2-newer', pictures: 'of another form' };
    database.held.set('dataset/2-newer', newer);
    await store.sweep(0);
    expect([...database.held.keys()]).toEqual(['cache/2-newer/000000', 'original/2-newer/000000', 'dataset/2-newer']);

    expect(await store.list()).toEqual([]);
    expect(await store.newer()).toBe(1);
    for (const refused of [
      () => store.read('2-newer'),
      () => store.write(dataset('2-newer', 2)),
      () => store.delete('2-newer'),
    ])
      await expect(refused()).rejects.toMatchObject({ name: 'StoredByNewerError' });
    expect(database.held.get('dataset/2-newer')).toEqual(newer);
    expect(database.held.size).toBe(3);
  });
});
