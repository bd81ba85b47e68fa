import { readFileSync } from 'node:fs';
import { createHash } from 'node:crypto';
import { describe, expect, it } from 'vitest';
import { checkedDecoder } from '../../../src/dataset/decoding.ts';
import { importFiles, importSample } from '../../../src/dataset/import.ts';
import { imageSource } from '../../../src/dataset/imageSource.ts';
import { resize } from '../../../src/dataset/resize.ts';
import type { DatasetStore } from '../../../src/dataset/types.ts';
import { imageDecoder } from '../../../src/platform/node/imageDecoder.ts';
import { memoryDatasetStore } from '../../../src/platform/node/memoryDatasetStore.ts';
import { importZip, jpeg, jpegs, optionsFor, zipOf } from './archives.ts';

const good = async () => ({
  ...(await jpegs('set/Train/A', 4, 0)),
  ...(await jpegs('set/Train/B', 4, 10)),
  ...(await jpegs('set/Test/A', 2, 20)),
  ...(await jpegs('set/Test/B', 2, 30)),
});

describe('importFiles, a good archive', () => {
  it('stores originals and caches that can be read back, and describes them', async () => {
    const files = await good();
    const store = memoryDatasetStore();
    const dataset = await importZip(await zipOf(files), { store, imgSize: 16 });
    expect(dataset).toMatchObject({ name: 'set', source: 'zip', synthetic: false, layout: 'splits', warnings: [] });
    expect(dataset.classes).toEqual(['A', 'B']);
    expect(dataset.images.map(({ given }) => given).sort()).toEqual([
      ...Array(4).fill('test'),
      ...Array(8).fill('train'),
    ]);
    const decoder = checkedDecoder(imageDecoder());
    const caches = await imageSource(store, dataset, { cacheBytes: 1e6 }).read(dataset.images.map((_, i) => i));
    for (const [i, image] of dataset.images.entries()) {
      const file = files[image.path as keyof typeof files] as Uint8Array;
      expect(image.hash).toBe(createHash('sha256').update(file).digest('hex'));
      const shard = await store.readOriginals(dataset.id, image.shard);
      expect(shard.slice(image.originalOffset, image.originalOffset + image.fileBytes)).toEqual(file);
      // 40 × 30 at ceil(1.15 × 16) = 19 on the short side.
      expect(caches[i]).toEqual(resize(await decoder.decode(file), 25, 19));
    }
    expect(await store.read(dataset.id)).toEqual(dataset);
  });

  it('names the data set by what it holds, whatever the order in the archive', async () => {
    const files = await good();
    const one = await importZip(await zipOf(files));
    const other = await importZip(await zipOf(Object.fromEntries(Object.entries(files).reverse())));
    expect(other.hash).toBe(one.hash);
    const lines = one.images.map(({ label, path, hash }) => `${one.classes[label]}/${path}/${hash}`).sort();
    expect(one.hash).toBe(createHash('sha256').update(lines.join('\n')).digest('hex'));
  });

  it('reports progress up to the total', async () => {
    const seen: number[] = [];
    await importZip(await zipOf(await good()), { onProgress: ({ done, total }) => seen.push(done / total) });
    expect(seen[0]).toBe(0);
    expect(seen.at(-1)).toBe(1);
    expect([...seen].sort((a, b) => a - b)).toEqual(seen);
  });

  it('packs many images into a shard, and starts another at about 4 MiB', async () => {
    const decoder = { decode: () => Promise.resolve({ width: 1000, height: 400, data: new Uint8Array(1_200_000) }) };
    const written: number[] = [];
    const store = memoryDatasetStore();
    const counting: DatasetStore = {
      ...store,
      writeShard: (id, shard, caches, originals) => {
        written.push(caches.length + originals.length);
        return store.writeShard(id, shard, caches, originals);
      },
    };
    const dataset = await importZip(await zipOf(await good()), { store: counting, decoder, imgSize: 512 });
    expect(dataset.images).toHaveLength(12);
    expect(written).toHaveLength(3);
    expect(written.reduce((a, b) => a + b)).toBe(dataset.storedBytes);
  });

  it('reads a folder as it reads a zip', async () => {
    const files = Object.entries(await good()).map(([path, bytes]) => ({
      path,
      file: new Blob([bytes as Uint8Array<ArrayBuffer>]),
    }));
    const dataset = await importFiles({ files, name: 'set', source: 'folder' }, optionsFor());
    expect(dataset).toMatchObject({ source: 'folder', name: 'set', layout: 'splits', classes: ['A', 'B'] });
  });
});

describe('a foreign archive, by Python’s zipfile and Pillow', () => {
  const fixture = new URL('../../fixtures/foreign.zip', import.meta.url);
  const expected = JSON.parse(readFileSync(new URL('../../fixtures/foreign.json', import.meta.url), 'utf8')) as Record<
    string,
    { width: number; height: number; pixels: number[] }
  >;
  const prefix = 'Schrittmacher ä/größe 日本/';

  it('gives Pillow’s pixels: orientation, grey, palette, 1 and 16 bits, alpha dropped; JPEG within 3 of 255', async () => {
    const store = memoryDatasetStore();
    const dataset = await importZip(new Blob([readFileSync(fixture)]), { store, imgSize: 512 });
    expect(dataset.images).toHaveLength(Object.keys(expected).length);
    expect(dataset.skipped).toEqual([{ path: 'Schrittmacher ä/read me.txt', reason: 'outside the data set’s folder' }]);
    const images = await imageSource(store, dataset, { cacheBytes: 0 }).read(dataset.images.map((_, i) => i));
    for (const [i, entry] of dataset.images.entries()) {
      const name = entry.path.slice(prefix.length);
      const want = expected[name];
      const got = images[i];
      expect([name, got?.width, got?.height]).toEqual([name, want?.width, want?.height]);
      const worst = Math.max(...(want?.pixels ?? []).map((value, k) => Math.abs(value - (got?.data[k] ?? 999))));
      expect({ name, worst: name.endsWith('.jpg') ? Math.max(worst, 3) : worst }).toEqual({
        name,
        worst: name.endsWith('.jpg') ? 3 : 0,
      });
    }
  });
});

describe('importFiles, bad archives', () => {
  const refused = async (file: Blob) => {
    const store = memoryDatasetStore();
    const error = await importZip(file, { store }).then(
      () => null,
      (reason: unknown) => reason as Error,
    );
    expect(await store.list()).toEqual([]);
    return error?.name;
  };

  it('not a zip', async () => {
    expect(await refused(new Blob(['this is not a zip']))).toBe('NotAZipError');
    expect(await refused(new Blob([]))).toBe('NotAZipError');
  });

  it('truncated, wherever it was cut', async () => {
    const whole = await zipOf(await good());
    for (const share of [0.1, 0.6, 0.95, 0.999]) {
      expect(await refused(whole.slice(0, Math.floor(whole.size * share)))).toBe('TruncatedZipError');
    }
  });

  it('encrypted', async () => {
    expect(await refused(await zipOf(await good(), { password: 'secret' }))).toBe('EncryptedZipError');
  });

  it('without images', async () => {
    expect(await refused(await zipOf({ 'a/readme.txt': 'x', 'b/notes.txt': 'y' }))).toBe('NoImagesError');
    expect(await refused(await zipOf({ 'Train/a/1.jpg': 'x', 'Train/b/2.jpg': 'y' }))).toBe('NoImagesError');
    expect(await refused(await zipOf({ 'readme.txt': 'x' }))).toBe('NoImagesError');
    expect(await refused(await zipOf({}))).toBe('NoImagesError');
  });

  it('one class only, or one class left', async () => {
    expect(await refused(await zipOf(await jpegs('Train/A', 3, 0)))).toBe('OneClassError');
    expect(await refused(await zipOf({ ...(await jpegs('Train/A', 3, 0)), 'Train/B/1.jpg': 'text' }))).toBe(
      'OneClassError',
    );
  });

  it('nothing but unsafe paths', async () => {
    expect(await refused(await zipOf({ '../A/1.jpg': await jpeg(1), '../B/2.jpg': await jpeg(2) }))).toBe(
      'UnsafePathError',
    );
  });
});

describe('importFiles, bad files among good ones', () => {
  it('lists each with its reason and keeps the rest', async () => {
    const whole = await jpeg(77, 200, 150);
    const png = new Uint8Array(readFileSync(new URL('../../fixtures/foreign.zip', import.meta.url)));
    const dataset = await importZip(
      await zipOf({
        ...(await good()),
        'set/Train/A/cut.jpg': whole.slice(0, Math.floor(whole.length * 0.7)),
        'set/Train/A/corrupt.jpg': new Uint8Array([...whole.slice(0, 30), ...whole.slice(300)]),
        'set/Train/A/text.jpg': 'a text file that calls itself an image',
        'set/Train/A/zip.png': png,
        'set/Train/A/scan.gif': 'GIF89a etc',
        '../outside.jpg': whole,
        'C:\\windows.jpg': whole,
        '/absolute/x.jpg': whole,
        'set/Test/Unknown/1.jpg': await jpeg(50),
        '__MACOSX/set/Train/A/._0.jpg': 'fork',
        'set/Train/B/.DS_Store': 'x',
      }),
    );
    expect(dataset.images).toHaveLength(12);
    expect(Object.fromEntries(dataset.skipped.map(({ path, reason }) => [path, reason]))).toEqual({
      'set/Train/A/cut.jpg': 'corrupt image (cut short)',
      'set/Train/A/corrupt.jpg': 'corrupt image',
      'set/Train/A/text.jpg': 'not an image',
      'set/Train/A/zip.png': 'not an image of a kind that can be read (zip)',
      'set/Train/A/scan.gif': 'not an image of a kind that can be read (GIF)',
      '../outside.jpg': 'unsafe path',
      'C:\\windows.jpg': 'unsafe path',
      '/absolute/x.jpg': 'unsafe path',
      'set/Test/Unknown/1.jpg': 'class only in Test: no image of “Unknown” to train on',
    });
    expect(dataset.warnings).toEqual(['Train has no image of “Unknown”: 1 image of it left out.']);
  });

  it('lists an entry whose bytes do not match their checksum', async () => {
    const bytes = new Uint8Array(await (await zipOf(await good())).arrayBuffer());
    // In the middle of the first entry's data: its header has 30 bytes and the name.
    bytes[200] = (bytes[200] as number) ^ 0xff;
    const dataset = await importZip(new Blob([bytes]));
    expect(dataset.images).toHaveLength(11);
    expect(dataset.skipped).toHaveLength(1);
    expect(dataset.skipped[0]?.reason).toMatch(/^cannot be read/);
  });

  it('warns of a class with one image, of copies, and of copies that leak into Test', async () => {
    const dataset = await importZip(
      await zipOf({
        ...(await good()),
        'set/Train/Lone/1.jpg': await jpeg(60),
        'set/Train/A/copy.jpg': await jpeg(0),
        'set/Test/B/leak.jpg': await jpeg(10),
      }),
    );
    expect(dataset.warnings).toEqual([
      '“Lone” has one image to learn from: none is left for validation, and it will hardly be recognised.',
      'Test has no image of “Lone”.',
      '2 images are exact copies of others.',
      '1 image is in more than one of Train, Val and Test: accuracy there will look better than it is.',
    ]);
  });
});

describe('an import that ends early leaves nothing', () => {
  const shardsLeft = () => {
    const store = memoryDatasetStore();
    const written = new Set<string>();
    const watching: DatasetStore = {
      ...store,
      writeShard: async (id, ...rest) => {
        await store.writeShard(id, ...rest);
        written.add(id);
      },
      delete: async (id) => {
        await store.delete(id);
        written.delete(id);
      },
    };
    return { store: watching, written };
  };
  const large = { decode: () => Promise.resolve({ width: 1000, height: 1000, data: new Uint8Array(3_000_000) }) };

  it('when cancelled', async () => {
    const controller = new AbortController();
    const { store, written } = shardsLeft();
    let most = 0;
    const done = importZip(await zipOf(await good()), {
      store,
      decoder: large,
      imgSize: 512,
      signal: controller.signal,
      onProgress: (progress) => {
        most = Math.max(most, written.size);
        if (progress.done === 8) controller.abort();
      },
    });
    await expect(done).rejects.toMatchObject({ name: 'ImportCancelledError' });
    expect(most).toBe(1);
    expect(written.size).toBe(0);
    expect(await store.list()).toEqual([]);
  });

  it('when the disk is full', async () => {
    const { store, written } = shardsLeft();
    let shards = 0;
    const full: DatasetStore = {
      ...store,
      writeShard: (id, ...rest) => (shards++ === 2 ? Promise.reject(new Error('full')) : store.writeShard(id, ...rest)),
    };
    await expect(importZip(await zipOf(await good()), { store: full, decoder: large, imgSize: 512 })).rejects.toThrow(
      'full',
    );
    expect(written.size).toBe(0);
  });

  it('when the record itself does not fit', async () => {
    const { store, written } = shardsLeft();
    const full: DatasetStore = { ...store, write: () => Promise.reject(new Error('full')) };
    await expect(importZip(await zipOf(await good()), { store: full })).rejects.toThrow('full');
    expect(written.size).toBe(0);
  });
});

describe('importSample', () => {
  it('imports the synthetic data set and says that it is synthetic', async () => {
    const sample = { seed: 7, classes: 6, train_per_class: 4, test_per_class: 1, size: 64 };
    const dataset = await importSample(sample, optionsFor());
    expect(dataset).toMatchObject({ synthetic: true, source: 'sample', layout: 'splits', skipped: [], warnings: [] });
    expect(dataset.images).toHaveLength(30);
    expect(new Set(dataset.classes.map((name) => name.slice(0, 3))).size).toBeGreaterThanOrEqual(3);
    expect(dataset.classes.every((name) => /^[A-Z]{3} - /.test(name))).toBe(true);
  });
});
