import { createHash } from 'node:crypto';
import { describe, expect, it } from 'vitest';
import { addFiles } from '../../../src/dataset/add.ts';
import { checkedDecoder } from '../../../src/dataset/decoding.ts';
import { imageSource } from '../../../src/dataset/imageSource.ts';
import { importFiles, type ImportOptions } from '../../../src/dataset/import.ts';
import { membersOf, splitWith } from '../../../src/dataset/members.ts';
import { resize } from '../../../src/dataset/resize.ts';
import { assignSplits } from '../../../src/dataset/split.ts';
import type { AddedImages, Dataset, DatasetStore } from '../../../src/dataset/types.ts';
import { imageDecoder } from '../../../src/platform/node/imageDecoder.ts';
import { memoryDatasetStore } from '../../../src/platform/node/memoryDatasetStore.ts';
import { importZip, jpeg, jpegs, optionsFor, zipOf, type Files } from './archives.ts';

const split = { validation_split: 0.15, test_split: 0.15, seed: 42 };

async function add(
  dataset: Dataset,
  files: Files,
  store: DatasetStore,
  more: Partial<ImportOptions> = {},
): Promise<AddedImages> {
  const from = { files: [{ path: 'more.zip', file: await zipOf(files) }], name: 'more.zip', source: 'zip' as const };
  return addFiles(from, { dataset, split, members: null }, optionsFor({ store, ...more }));
}

/** `split path hash` of each image, by the split that the data set gets. */
function divided(dataset: Dataset): string[] {
  const parts = assignSplits(dataset, split);
  return (['train', 'val', 'test'] as const).flatMap((part) =>
    parts[part].map((i) => `${part} ${dataset.classes[dataset.images[i]?.label ?? -1]} ${dataset.images[i]?.hash}`),
  );
}
const withFolders = async () => ({
  ...(await jpegs('set/Train/B', 8, 0)),
  ...(await jpegs('set/Train/D', 8, 10)),
  ...(await jpegs('set/Test/B', 2, 20)),
  ...(await jpegs('set/Test/D', 2, 30)),
});

describe('addFiles', () => {
  it('makes a new data set of both, merged by class, old images in their splits; the old one stays', async () => {
    const store = memoryDatasetStore();
    const old = await importZip(await zipOf(await withFolders()), { store });
    const before = structuredClone(old);
    const { dataset, added, duplicates, newClasses } = await add(
      old,
      {
        ...(await jpegs('n/Train/D', 4, 100)),
        ...(await jpegs('n/Train/C', 4, 110)),
        ...(await jpegs('n/Train/É', 3, 120)),
        ...(await jpegs('n/Test/C', 1, 130)),
        ...(await jpegs('n/Test/B', 1, 140)),
      },
      store,
    );
    expect({ added, duplicates, newClasses }).toEqual({ added: 13, duplicates: 0, newClasses: ['C', 'É'] });
    expect(dataset.classes).toEqual(['B', 'C', 'D', 'É']);
    expect(dataset).toMatchObject({ name: 'set', additions: ['more'], layout: 'splits', skipped: [] });
    expect(await store.read(old.id)).toEqual(before);
    expect(await store.read(dataset.id)).toEqual(dataset);
    expect(divided(dataset)).toEqual(expect.arrayContaining(divided(old)));
    // By hand: val is 15 % of 4, 4 and 3, at least one; Test comes from the folders.
    const count = (given: string, name: string) =>
      dataset.images.filter((image) => image.given === given && dataset.classes[image.label] === name).length;
    expect(['B', 'C', 'D', 'É'].map((name) => ['train', 'val', 'test'].map((given) => count(given, name)))).toEqual([
      [7, 1, 3],
      [3, 1, 1],
      [7 + 3, 1 + 1, 2],
      [2, 1, 0],
    ]);
    expect(dataset.warnings).toEqual(['Test has no image of “É”.']);
  });

  it('stores each image whole under its new address, old ones copied, new ones decoded', async () => {
    const store = memoryDatasetStore();
    const first = await withFolders();
    const second = await jpegs('C', 4, 110);
    const old = await importZip(await zipOf(first), { store, imgSize: 16 });
    const { dataset } = await add(old, second, store, { imgSize: 16 });
    const byHash = new Map(
      Object.values({ ...first, ...second }).map((bytes) => [createHash('sha256').update(bytes).digest('hex'), bytes]),
    );
    const decoder = checkedDecoder(imageDecoder());
    const caches = await imageSource(store, dataset, { cacheBytes: 0 }).read(dataset.images.map((_, i) => i));
    expect(dataset.images).toHaveLength(24);
    for (const [i, image] of dataset.images.entries()) {
      const file = byHash.get(image.hash) as Uint8Array;
      const shard = await store.readOriginals(dataset.id, image.shard);
      expect(shard.slice(image.originalOffset, image.originalOffset + image.fileBytes)).toEqual(file);
      expect(caches[i]).toEqual(resize(await decoder.decode(file), 25, 19));
    }
  });

  it('gives the new images their own Test part where they bring none, whatever the old ones have: 20 → 3, 3 of 17 val', async () => {
    const store = memoryDatasetStore();
    const old = await importZip(await zipOf(await withFolders()), { store });
    const { dataset } = await add(old, await jpegs('D', 20, 200), store);
    const olds = new Set(old.images.map(({ hash }) => hash));
    const news = dataset.images.filter(({ hash }) => !olds.has(hash)).map(({ given }) => given);
    expect(['train', 'val', 'test'].map((part) => news.filter((given) => given === part).length)).toEqual([14, 3, 3]);
  });

  it('writes the drawn split of a flat data set down, so that it holds under another seed', async () => {
    const store = memoryDatasetStore();
    const old = await importZip(await zipOf({ ...(await jpegs('B', 20, 0)), ...(await jpegs('D', 20, 30)) }), {
      store,
    });
    const { dataset } = await add(old, await jpegs('D', 3, 100), store);
    const kept = divided(old);
    expect(divided(dataset)).toEqual(expect.arrayContaining(kept));
    const other = assignSplits(dataset, { ...split, seed: 7 });
    expect(membersOf(dataset, other)).toEqual(membersOf(dataset, assignSplits(dataset, split)));
    // And a model of the old data set finds its images where it left them.
    const members = membersOf(old, assignSplits(old, split));
    expect(membersOf(dataset, splitWith(dataset, split, members))).toEqual(
      membersOf(dataset, assignSplits(dataset, split)),
    );
  });

  it('does not take twice what is there byte for byte, names the class it stands under, and takes copies among the new ones once', async () => {
    const store = memoryDatasetStore();
    const old = await importZip(await zipOf(await withFolders()), { store });
    const decoded: number[] = [];
    const real = checkedDecoder(imageDecoder());
    const { dataset, added, duplicates, doubled } = await add(
      old,
      {
        'Train/B/again.jpg': await jpeg(0),
        'Train/D/moved.jpg': await jpeg(20),
        'Train/D/new.jpg': await jpeg(300),
        'Train/D/new copy.jpg': await jpeg(300),
        'Train/E/new too.jpg': await jpeg(300),
        'Train/E/1.jpg': await jpeg(301),
        'Train/E/2.jpg': 'no image',
      },
      store,
      { decoder: { decode: (file) => (decoded.push(file.length), real.decode(file)) }, decoders: 1 },
    );
    expect([added, duplicates, doubled, dataset.images.length]).toEqual([2, 2, 2, 22]);
    // The two new ones and the file that is no image: copies are known by their bytes.
    expect(decoded).toHaveLength(3);
    expect(Object.fromEntries(dataset.skipped.map(({ path, reason }) => [path, reason]))).toEqual({
      'Train/B/again.jpg': 'already in the data set',
      'Train/D/moved.jpg': 'already in the data set, under “B”',
      'Train/D/new.jpg': 'twice in what was added',
      'Train/E/new too.jpg': 'twice in what was added, under “D”',
      'Train/E/2.jpg': 'not an image',
    });
    expect(dataset.warnings.filter((text) => /cop|more than one/.test(text))).toEqual([]);
  });

  it('lists the copies of the last addition alone, and of all additions what was no image', async () => {
    const store = memoryDatasetStore();
    let dataset = await importZip(await zipOf({ ...(await withFolders()), 'set/notes.txt': 'as imported' }), { store });
    for (const seed of [300, 301, 302]) {
      ({ dataset } = await add(
        dataset,
        {
          'Train/B/again.jpg': await jpeg(0),
          [`Train/B/new ${seed}.jpg`]: await jpeg(seed),
          [`Train/B/new ${seed} too.jpg`]: await jpeg(seed),
          [`Train/B/${seed}.jpg`]: 'no image',
        },
        store,
      ));
    }
    expect(dataset.skipped.map(({ path, reason }) => `${path}: ${reason}`).sort()).toEqual(
      [
        'set/notes.txt: outside the Train and Test folders',
        'Train/B/300.jpg: not an image',
        'Train/B/301.jpg: not an image',
        'Train/B/302.jpg: not an image',
        'Train/B/again.jpg: already in the data set',
        'Train/B/new 302.jpg: twice in what was added',
      ].sort(),
    );
  });

  it('writes down the split that the newest model had, not the one that the settings would draw now', async () => {
    const store = memoryDatasetStore();
    const flat = { ...(await jpegs('B', 12, 0)), ...(await jpegs('D', 12, 20)) };
    const old = await importZip(await zipOf(flat), { store });
    const trained = membersOf(old, assignSplits(old, { ...split, seed: 7 }));
    expect(trained).not.toEqual(membersOf(old, assignSplits(old, split)));
    // Of two images the model knows nothing.
    const known = { ...trained, train: trained.train.slice(2) };
    const from = {
      files: [{ path: 'more.zip', file: await zipOf(await jpegs('B', 8, 100)) }],
      name: 'more.zip',
      source: 'zip' as const,
    };
    const { dataset } = await addFiles(from, { dataset: old, split, members: known }, optionsFor({ store }));
    const now = membersOf(dataset, assignSplits(dataset, split));
    for (const part of ['train', 'val', 'test'] as const)
      expect(now[part]).toEqual(expect.arrayContaining([...known[part]]));
    expect(now.train.length + now.val.length + now.test.length).toBe(32);
    expect(now.test.length).toBeGreaterThan(known.test.length);
  });

  it('refuses what brings nothing new, or no image at all, and stores nothing of it', async () => {
    const store = memoryDatasetStore();
    const written: string[] = [];
    const watched: DatasetStore = {
      ...store,
      writeShard: (id, ...rest) => (written.push(id), store.writeShard(id, ...rest)),
    };
    const files = await withFolders();
    const old = await importZip(await zipOf(files), { store });
    await expect(add(old, { ...files, 'set/Train/B/x.jpg': 'text' }, watched)).rejects.toMatchObject({
      name: 'NothingNewError',
      message: '“more” brings nothing new to “set”. 20 files: already in the data set. 1 file: not an image.',
    });
    await expect(add(old, { 'C/x.jpg': 'text' }, watched)).rejects.toMatchObject({ name: 'NoImagesError' });
    await expect(add(old, await jpegs('Test/C', 2, 400), watched)).rejects.toMatchObject({
      name: 'NoImagesError',
      message: expect.stringContaining('class only in Test: no image of “C” to train on') as string,
    });
    expect(await store.list()).toEqual([old]);
    for (const id of written) await expect(store.readOriginals(id, 0)).rejects.toThrow();
  });

  it('takes Test images alone, or a single class', async () => {
    const store = memoryDatasetStore();
    const old = await importZip(await zipOf(await withFolders()), { store });
    const tests = await add(old, await jpegs('x/Test/B', 2, 400), store);
    expect([tests.added, tests.newClasses, assignSplits(tests.dataset, split).test.length]).toEqual([2, [], 6]);
    const single = await add(tests.dataset, await jpegs('New device', 2, 500), store);
    expect([single.added, single.newClasses]).toEqual([2, ['New device']]);
    expect(single.dataset.additions).toEqual(['more', 'more']);
  });

  it('makes larger caches from the originals where the images will be used larger, and keeps those that are large enough', async () => {
    const store = memoryDatasetStore();
    const files = await withFolders();
    const old = await importZip(await zipOf(files), { store, imgSize: 16 });
    const { dataset } = await add(old, await jpegs('C', 2, 600), store, { imgSize: 24 });
    // ceil(1.15 × 24) = 28 of 30: 40 × 28 / 30 = 37.3.
    expect(dataset.cacheShortSide).toBe(28);
    expect(new Set(dataset.images.map((image) => `${image.cacheWidth}×${image.cacheHeight}`))).toEqual(
      new Set(['37×28']),
    );
    const fresh = await importZip(await zipOf(files), { store, imgSize: 24 });
    const pixels = async (set: Dataset) => {
      const images = await imageSource(store, set, { cacheBytes: 0 }).read(set.images.map((_, i) => i));
      return new Map(set.images.map(({ hash }, i) => [hash, images[i]?.data]));
    };
    expect([...(await pixels(dataset))]).toEqual(expect.arrayContaining([...(await pixels(fresh))]));
    const smaller = await add(dataset, await jpegs('C', 2, 700), store, { imgSize: 16 });
    expect(smaller.dataset.cacheShortSide).toBe(28);
    expect(new Set(smaller.dataset.images.map(({ cacheHeight }) => cacheHeight))).toEqual(new Set([28]));
  });

  it('gives every image a path of its own that says its split and class', async () => {
    const store = memoryDatasetStore();
    const old = await importZip(
      await zipOf({
        'a/Train/B/one/1.jpg': await jpeg(1),
        'a/Train/B/two/1.jpg': await jpeg(2),
        'a/Train/B/two/1.JPG': await jpeg(3),
        'a/Train/D/1.jpg': await jpeg(4),
        'a/Train/D/ohne': await jpeg(5),
      }),
      { store },
    );
    const none = { validation_split: 0, test_split: 0, seed: 1 };
    const file = await zipOf({ 'B/1.jpg': await jpeg(6), 'D/ohne': await jpeg(7) });
    const from = { files: [{ path: 'x.zip', file }], name: 'x.zip', source: 'zip' as const };
    const { dataset } = await addFiles(from, { dataset: old, split: none, members: null }, optionsFor({ store }));
    expect(dataset.images.map(({ path }) => path)).toEqual([
      'Train/B/1-2.JPG',
      'Train/B/1-3.jpg',
      'Train/B/1-4.jpg',
      'Train/B/1.jpg',
      'Train/D/1.jpg',
      'Train/D/ohne',
      'Train/D/ohne-2',
    ]);
  });

  it('reports progress through both stages, and can be cancelled in either; then nothing is left', async () => {
    const store = memoryDatasetStore();
    const old = await importZip(await zipOf(await withFolders()), { store });
    const seen: string[] = [];
    await add(old, await jpegs('C', 3, 800), store, {
      onProgress: ({ stage, done, total }) => seen.push(`${stage} ${done}/${total}`),
    });
    expect([seen[0], seen[3], seen[4], seen.at(-1)]).toEqual([
      'reading 0/3',
      'reading 3/3',
      'storing 0/20',
      'storing 20/20',
    ]);
    for (const where of ['reading', 'storing']) {
      const controller = new AbortController();
      const before = await store.list();
      const written = new Set<string>();
      const watched: DatasetStore = {
        ...store,
        writeShard: (id, ...rest) => (written.add(id), store.writeShard(id, ...rest)),
      };
      const adding = add(old, await jpegs('C', 3, 900), watched, {
        signal: controller.signal,
        onProgress: ({ stage, done }) => stage === where && done === 2 && controller.abort(),
      });
      await expect(adding).rejects.toMatchObject({ name: 'ImportCancelledError' });
      expect(await store.list()).toEqual(before);
      for (const id of written) await expect(store.readCaches(id, 0)).rejects.toThrow();
    }
  });

  it('takes a folder, and keeps what was skipped before on the list', async () => {
    const store = memoryDatasetStore();
    const old = await importZip(await zipOf({ ...(await withFolders()), 'set/Train/B/x.jpg': 'text' }), { store });
    const files = Object.entries(await jpegs('New/C', 2, 1000)).map(([path, bytes]) => ({
      path,
      file: new Blob([bytes as Uint8Array<ArrayBuffer>]),
    }));
    const from = { files, name: 'New', source: 'folder' as const };
    const { dataset } = await addFiles(from, { dataset: old, split, members: null }, optionsFor({ store }));
    expect(dataset).toMatchObject({ additions: ['New'], source: 'zip', classes: ['B', 'C', 'D'] });
    expect(dataset.skipped).toEqual([{ path: 'set/Train/B/x.jpg', reason: 'not an image' }]);
    const whole = await importFiles(from, optionsFor({ store })).catch((error: unknown) => error as Error);
    expect(whole).toMatchObject({ name: 'OneClassError' });
  });
});
