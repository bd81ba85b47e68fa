import {
  mkdtempSync,
  readdirSync,
  readFileSync,
  rmSync,
  statSync,
  truncateSync,
  utimesSync,
  writeFileSync,
} from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, beforeEach, describe, expect, it, vi } from 'vitest';
import { importFiles } from '../../../src/dataset/import.ts';
import { imageSource } from '../../../src/dataset/imageSource.ts';
import { datasetKey, diskDatasetStore } from '../../../src/platform/node/diskDatasetStore.ts';
import { filesFromDisk } from '../../../src/platform/node/files.ts';
import { memoryDatasetStore } from '../../../src/platform/node/memoryDatasetStore.ts';
import { importZip, jpegs, optionsFor, zipOf } from '../dataset/archives.ts';

let root: string;
beforeEach(() => (root = mkdtempSync(join(tmpdir(), 'store-'))));
afterEach(() => rmSync(root, { recursive: true, force: true }));

const zip = async () =>
  zipOf({
    ...(await jpegs('Train/A', 4, 0)),
    ...(await jpegs('Train/B', 4, 10)),
    // Dropped once all is read: its bytes stay in the shard.
    'Train/C/0.jpg': 'text',
    ...(await jpegs('Test/C', 2, 20)),
  });
const limits = { abandoned: 60_000, keep: 2, unused: 3_600_000 };
const filesOf = (id: string): string[] => readdirSync(join(root, id)).sort();

describe('diskDatasetStore', () => {
  it('gives back what the store in memory gives, to another process too, and forgets what is deleted', async () => {
    const file = await zip();
    const memory = memoryDatasetStore();
    const expected = await importZip(file, { store: memory });
    const dataset = await importZip(file, { store: diskDatasetStore(root) });
    const again = diskDatasetStore(root);
    expect(await again.list()).toEqual([dataset]);
    expect(await again.read(dataset.id)).toEqual(dataset);
    expect(filesOf(dataset.id)).toEqual(['000000.caches', '000000.originals', 'dataset.json']);
    const all = dataset.images.map((_, i) => i);
    expect(await imageSource(again, dataset, { cacheBytes: 0 }).read(all)).toEqual(
      await imageSource(memory, expected, { cacheBytes: 0 }).read(all),
    );
    expect(await again.readOriginals(dataset.id, 0)).toEqual(await memory.readOriginals(expected.id, 0));
    await again.delete(dataset.id);
    expect(await again.list()).toEqual([]);
    expect(readdirSync(root)).toEqual([]);
    await expect(again.readCaches(dataset.id, 0)).rejects.toMatchObject({ name: 'NoSuchDatasetError' });
  });

  it('is empty where there is no folder yet', async () => {
    const store = diskDatasetStore(join(root, 'not/yet'));
    expect([await store.list(), await store.read('x'), await store.findCached('y')]).toEqual([
      [],
      undefined,
      undefined,
    ]);
    await store.sweep({ ...limits, abandoned: 0 });
  });

  it('keeps the data sets that were asked for last, and those of the last hour', async () => {
    const store = diskDatasetStore(root);
    const kept: string[] = [];
    for (const [key, minutes] of [
      ['newest', 0],
      ['second', 120],
      ['third', 180],
      ['recent', 50],
    ] as const) {
      const dataset = await importZip(await zip(), { store });
      await store.remember(key, dataset);
      const then = new Date(Date.now() - minutes * 60_000);
      utimesSync(join(root, 'keys', key), then, then);
      if (key !== 'second' && key !== 'third') kept.push(dataset.id);
    }
    // Asked for again, the third is the newest; of the others two hours old one has to go.
    expect(await store.findCached('third')).toBeDefined();
    await store.sweep(limits);
    expect(readdirSync(join(root, 'keys')).sort()).toEqual(['newest', 'recent', 'third']);
    expect((await store.list()).map(({ id }) => id)).toEqual(expect.arrayContaining(kept));
    expect(await store.list()).toHaveLength(3);
  });

  it('keeps what a long run goes on reading', async () => {
    vi.useFakeTimers({ toFake: ['setInterval'] });
    try {
      const reading = diskDatasetStore(root);
      const dataset = await importZip(await zip(), { store: reading });
      await reading.remember('long', dataset);
      const other = diskDatasetStore(root);
      for (const key of ['a', 'b']) await other.remember(key, await importZip(await zip(), { store: other }));
      const lately = Date.now() - 1000;
      const longAgo = new Date(Date.now() - 2 * limits.unused);
      utimesSync(join(root, 'keys', 'long'), longAgo, longAgo);
      vi.advanceTimersByTime(3_600_000);
      await expect.poll(() => statSync(join(root, 'keys', 'long')).mtimeMs).toBeGreaterThan(lately);
      await other.sweep(limits);
      expect((await reading.readCaches(dataset.id, 0)).length).toBeGreaterThan(0);
    } finally {
      vi.useRealTimers();
    }
  });

  it('sweeps what a kill left, once it is old enough, and leaves whole data sets', async () => {
    const store = diskDatasetStore(root);
    const whole = await importZip(await zip(), { store });
    await store.writeShard('half', 0, new Uint8Array(3), new Uint8Array(2));
    writeFileSync(join(root, 'half', 'dataset.json.0a.part'), '{"schema":1,"id":"ha');
    await store.sweep(limits);
    expect(filesOf('half')).toHaveLength(3);
    const longAgo = new Date(Date.now() - 120_000);
    for (const name of filesOf('half')) utimesSync(join(root, 'half', name), longAgo, longAgo);
    utimesSync(join(root, 'half'), longAgo, longAgo);
    await store.sweep(limits);
    expect(readdirSync(root)).toEqual([whole.id]);
    expect(await store.list()).toEqual([whole]);
  });

  it('does not show what is damaged, and sweeps it at once: a shard cut short or gone, a record cut short', async () => {
    const store = diskDatasetStore(root);
    const damages: ((folder: string) => void)[] = [
      (folder) => truncateSync(join(folder, '000000.caches'), 100),
      (folder) => rmSync(join(folder, '000000.originals')),
      (folder) => {
        const record = join(folder, 'dataset.json');
        writeFileSync(record, readFileSync(record).subarray(0, 500));
      },
    ];
    for (const damage of damages) {
      const dataset = await importZip(await zip(), { store });
      await store.remember('key', dataset);
      expect((await store.findCached('key'))?.id).toBe(dataset.id);
      damage(join(root, dataset.id));
      expect([await store.list(), await store.read(dataset.id), await store.findCached('key')]).toEqual([
        [],
        undefined,
        undefined,
      ]);
      await store.sweep(limits);
      expect(readdirSync(root)).toEqual(['keys']);
      expect(readdirSync(join(root, 'keys'))).toEqual([]);
    }
  });
});

describe('datasetKey', () => {
  it('finds the same files again, and nothing once one of them, its time or the image size has changed', async () => {
    writeFileSync(join(root, 'set.zip'), new Uint8Array(await (await zip()).arrayBuffer()));
    const store = diskDatasetStore(join(root, 'cache'));
    const keyNow = async (imgSize: number) => datasetKey((await filesFromDisk(join(root, 'set.zip'))).listing, imgSize);
    const files = await filesFromDisk(join(root, 'set.zip'));
    const dataset = await importFiles(files, optionsFor({ store }));
    await store.remember(await keyNow(32), dataset);
    expect((await diskDatasetStore(join(root, 'cache')).findCached(await keyNow(32)))?.hash).toBe(dataset.hash);
    expect(await store.findCached(await keyNow(33))).toBeUndefined();
    utimesSync(join(root, 'set.zip'), new Date(1e12), new Date(1e12));
    expect(await store.findCached(await keyNow(32))).toBeUndefined();
    const [one] = files.listing;
    if (one === undefined) throw new Error('no listing');
    const keys = [[one], [{ ...one, bytes: 1 }], [{ ...one, path: 'x' }], [one, one]].map((l) => datasetKey(l, 32));
    expect(new Set(keys).size).toBe(4);
  });
});
