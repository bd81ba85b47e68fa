import { beforeEach, describe, expect, it } from 'vitest';
import { weightStore } from '../../../src/platform/browser/weightStore.ts';
import { writeSafetensors } from '../../../src/weights/safetensors.ts';
import { loadPretrained } from '../../../src/weights/pretrained.ts';
import type { WeightRecord } from '../../../src/weights/types.ts';
import { memoryKeyValue } from '../support/memoryKeyValue.ts';

const record: WeightRecord = {
  schema: 1,
  key: 'imported/1',
  name: 'a.safetensors',
  architecture: 'tiny',
  url: null,
  sha256: '1',
  verified: false,
  classes: 4,
  warnings: [],
  bytes: 3,
  savedAt: 5,
};

describe('weights files in IndexedDB', () => {
  let database: ReturnType<typeof memoryKeyValue>;
  beforeEach(() => (database = memoryKeyValue()));

  it('are kept with their bytes, and go with them', async () => {
    const store = weightStore(database.records);
    await store.set(record, Uint8Array.of(1, 2, 3));
    expect(database.writes).toEqual([['record/imported/1', 'bytes/imported/1']]);
    expect(await store.list()).toEqual([record]);
    expect(await store.get('imported/1')).toEqual({ record, bytes: Uint8Array.of(1, 2, 3) });
    await store.delete('imported/1');
    expect(database.held.size).toBe(0);
  });

  it('of a newer page stay as they are: not listed, not given, not replaced, not deleted', async () => {
    const newer = { ...record, schema: 2, key: 'imported/2', tensors: 'of another form' };
    database.held.set('record/imported/2', newer).set('bytes/imported/2', Uint8Array.of(9));
    const store = weightStore(database.records);
    await store.set(record, Uint8Array.of(1, 2, 3));
    expect(await store.list()).toEqual([record]);
    expect(await store.newer()).toBe(1);
    expect(await store.get('imported/2')).toBeUndefined();
    const replace = store.set({ ...record, key: 'imported/2' }, Uint8Array.of(8));
    await expect(replace).rejects.toMatchObject({ name: 'StoredByNewerError' });
    await expect(store.delete('imported/2')).rejects.toMatchObject({ name: 'StoredByNewerError' });
    expect(database.held.get('record/imported/2')).toEqual(newer);
    expect(database.held.get('bytes/imported/2')).toEqual(Uint8Array.of(9));
  });

  it('ImageNet weights that a newer page keeps in its own way are fetched for this visit, and said not to be kept', async () => {
    const newer = { schema: 2, key: 'pretrained/tiny' };
    database.held.set('record/pretrained/tiny', newer);
    const file = writeSafetensors(new Map([['w', { shape: [1], data: Float32Array.of(1) }]]));
    const loaded = await loadPretrained('tiny', {
      cache: weightStore(database.records),
      fetch: () => Promise.resolve(new Response(file)),
      base: 'https://example.org/',
      now: 7,
      sources: [],
    });
    expect(loaded.file.tensors.get('w')?.data).toEqual(Float32Array.of(1));
    expect(loaded.record.warnings.join()).toMatch(/could not be kept .* stored by a newer version of this page/);
    expect(database.held.get('record/pretrained/tiny')).toEqual(newer);
  });
});
