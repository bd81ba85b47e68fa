import { existsSync, mkdtempSync, rmSync, utimesSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, describe, expect, it, vi } from 'vitest';
import { featureStore } from '../../../src/platform/browser/featureStore.ts';
import { diskFeatureStore } from '../../../src/platform/node/diskFeatureStore.ts';
import type { FeatureSet, FeatureStore } from '../../../src/training/types.ts';
import { memoryKeyValue } from '../support/memoryKeyValue.ts';

const folder = mkdtempSync(join(tmpdir(), 'features-'));
afterAll(() => rmSync(folder, { recursive: true }));

const set = (id: string, dataset = 'one'): FeatureSet => ({ id, dataset: dataset.padEnd(16, '0') });
const chunk = (fill: number): Uint8Array => new Uint8Array(100).fill(fill);
const found = async (store: FeatureStore, one: FeatureSet): Promise<(readonly [number, number])[]> =>
  [...(await store.read(one))].map(([n, bytes]) => [n, bytes[99]!] as const).sort(([a], [b]) => a - b);

let folders = 0;
const kinds: [string, (most: number) => { store: FeatureStore; age: (one: FeatureSet, ms: number) => void }][] = [
  [
    'IndexedDB',
    (most) => {
      const { records, held } = memoryKeyValue();
      const age = (one: FeatureSet, ms: number) =>
        held.set(`set/${one.id}`, { ...(held.get(`set/${one.id}`) as object), usedAt: Date.now() - ms });
      return { store: featureStore(records, { most, free: () => Promise.resolve(null) }), age };
    },
  ],
  [
    'a folder',
    (most) => {
      const own = join(folder, String((folders += 1)));
      const age = (one: FeatureSet, ms: number) => {
        const at = new Date(Date.now() - ms);
        utimesSync(join(own, `${one.dataset.slice(0, 16)}-${one.id}`), at, at);
      };
      return { store: diskFeatureStore(own, most), age };
    },
  ],
];

describe.each(kinds)('features in %s', (_, open) => {
  it('are there as they were written, set by set, and go with their data set', async () => {
    const { store } = open(1e6);
    const [a, b, c] = [set('a'), set('b'), set('c', 'two')];
    expect([await found(store, a), await store.storedBytes()]).toEqual([[], 0]);
    for (const one of [a, b, c]) for (const n of [0, 11]) await store.write(one, n, chunk(n + 1));
    await store.write(a, 11, chunk(7));
    expect(await found(store, a)).toEqual([
      [0, 1],
      [11, 7],
    ]);
    expect(await store.storedBytes()).toBe(600);
    await store.delete(a.dataset);
    expect([await found(store, a), await found(store, b)]).toEqual([[], []]);
    expect(await found(store, c)).toHaveLength(2);
    await store.delete(null);
    expect([await found(store, c), await store.storedBytes()]).toEqual([[], 0]);
  });

  it('make room by those that were used least lately, never by those that are being written', async () => {
    const { store, age } = open(500);
    for (const id of ['a', 'b', 'c']) await store.write(set(id), 0, chunk(1));
    age(set('a'), 3000);
    age(set('b'), 5000);
    age(set('c'), 4000);
    // Looked at: now the youngest.
    expect(await found(store, set('b'))).toHaveLength(1);
    for (const n of [0, 1, 2]) await store.write(set('d'), n, chunk(2));
    expect(await found(store, set('c'))).toEqual([]);
    expect(await found(store, set('a'))).toHaveLength(1);
    for (const n of [3, 4]) await store.write(set('d'), n, chunk(2));
    await expect(store.write(set('d'), 5, chunk(2))).rejects.toThrow();
    expect(await found(store, set('d'))).toHaveLength(5);
    expect(await store.storedBytes()).toBe(500);
  });
});

describe('features in IndexedDB', () => {
  it('leave room to data sets and checkpoints', async () => {
    const free = vi.fn(() => Promise.resolve(511 * 2 ** 20));
    const { records, held } = memoryKeyValue();
    const store = featureStore(records, { free });
    await expect(store.write(set('a'), 0, chunk(1))).rejects.toThrow();
    expect(held.size).toBe(0);
    free.mockReturnValue(Promise.resolve(2 ** 30));
    await store.write(set('a'), 0, chunk(1));
    await store.write(set('a'), 1, chunk(1));
    expect(free).toHaveBeenCalledTimes(2);
  });

  it('of a newer page are neither read nor counted nor replaced; who deletes everything deletes them', async () => {
    const { records, held } = memoryKeyValue();
    const store = featureStore(records, { most: 150, free: () => Promise.resolve(null) });
    const newer = { schema: 2, id: 'n', what: 'of another form' };
    held.set('set/n', newer);
    held.set('chunk/n/000000', 'of another form');
    expect([await found(store, set('n')), await store.storedBytes()]).toEqual([[], 0]);
    await store.write(set('a'), 0, chunk(1));
    await store.delete(set('a').dataset);
    await expect(store.write(set('n'), 0, chunk(1))).rejects.toThrow();
    expect(held.get('set/n')).toEqual(newer);
    expect(held.get('chunk/n/000000')).toBe('of another form');
    await store.delete(null);
    expect(held.size).toBe(0);
  });

  it('are written with the record that counts them, in one transaction', async () => {
    const { records, writes } = memoryKeyValue();
    await featureStore(records, { free: () => Promise.resolve(null) }).write(set('a'), 3, chunk(1));
    expect(writes).toEqual([['chunk/a/000003', 'set/a']]);
  });
});

it('a folder that cannot be made is an error of the write alone', async () => {
  const file = join(folder, 'a file');
  writeFileSync(file, '');
  const store = diskFeatureStore(file);
  expect([await found(store, set('a')), await store.storedBytes()]).toEqual([[], 0]);
  await expect(store.write(set('a'), 0, chunk(1))).rejects.toThrow();
  expect(existsSync(file)).toBe(true);
});
