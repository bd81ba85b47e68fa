import { readFileSync } from 'node:fs';
import { sha256 } from '@noble/hashes/sha2.js';
import { bytesToHex } from '@noble/hashes/utils.js';
import sharp from 'sharp';
import { describe, expect, it, onTestFinished, vi } from 'vitest';
import { checkedDecoder } from '../../../src/dataset/decoding.ts';
import { evaluationSource } from '../../../src/dataset/evaluationSource.ts';
import { imageSource } from '../../../src/dataset/imageSource.ts';
import type { Dataset, DatasetStore, ImageEntry, Members, RgbImage, Split } from '../../../src/dataset/types.ts';
import { augmentInto } from '../../../src/engine/augmentation.ts';
import type { TrainingBatch } from '../../../src/engine/types.ts';
import { imageDecoder } from '../../../src/platform/node/imageDecoder.ts';
import { memoryDatasetStore } from '../../../src/platform/node/memoryDatasetStore.ts';
import { epochOrder, trainingBatches } from '../../../src/training/batches.ts';
import { augmentationCommands } from '../../../src/workers/augmentationCommands.ts';
import { config as ofRun } from '../training/smallRun.ts';

/** Without a Val or Test folder nothing is taken from Train. */
const config = { ...ofRun, data: { ...ofRun.data, validation_split: 0, test_split: 0 } };

/** Made by tests/python/make_geometry.py from Pillow and torchvision. */
const { crops } = JSON.parse(readFileSync(new URL('../../fixtures/geometry.json', import.meta.url), 'utf8')) as {
  crops: Record<
    string,
    { width: number; height: number; size: number; geometry: 'center_crop' | 'squash'; sha256: string }
  >;
};

/** The formula of the fixture's maker; `shift`: another picture. */
function formulaPicture(width: number, height: number, shift = 0): RgbImage {
  const data = Uint8Array.from(
    { length: width * height * 3 },
    (_, i) => Math.floor(((i + shift) * 2654435761) / 128) % 256,
  );
  return { width, height, data };
}

interface Given {
  readonly picture: RgbImage;
  readonly label?: number;
  readonly given?: Split | null;
}

/** A stored data set of these pictures, one a shard: PNG originals, and the pictures themselves as uncropped copies. */
async function stored(
  pictures: readonly Given[],
  cut: readonly number[] = [],
): Promise<{ store: DatasetStore; dataset: Dataset }> {
  const store = memoryDatasetStore();
  const images: ImageEntry[] = [];
  for (const [i, { picture, label = 0, given = 'train' }] of pictures.entries()) {
    const { width, height, data } = picture;
    const original = new Uint8Array(
      await sharp(data, { raw: { width, height, channels: 3 } })
        .png()
        .toBuffer(),
    );
    const cache = cut.includes(i) ? data.subarray(0, data.length / 2) : data;
    await store.writeShard('set', i, cache, original);
    const hash = i
      .toString(16)
      .padStart(64, '0')
      .replace(/^(.{48})(.{16})$/, '$2$1');
    const sizes = { width, height, cacheWidth: width, cacheHeight: height, fileBytes: original.length };
    images.push({ path: `${i}.png`, label, given, hash, ...sizes, shard: i, cacheOffset: 0, originalOffset: 0 });
  }
  const classes = [...new Set(images.map(({ label }) => label))].map((label) => `class ${label}`);
  const dataset = { schema: 1, id: 'set', classes, images } as unknown as Dataset;
  await store.write(dataset);
  return { store, dataset };
}

/** `[n, size, size, 3] float32`, normalised, as the network is given it where there is no GPU. */
function inputOf(batch: TrainingBatch): Float32Array {
  if ('images' in batch) return batch.images;
  const side = batch.size * batch.size * 3;
  const out = new Float32Array(batch.n * side);
  batch.pictures.forEach(([picture, augmentation], i) =>
    augmentInto(out, i * side, picture, batch.size, augmentation, batch),
  );
  return out;
}

function commands(store: DatasetStore, members: Members | null = null) {
  const decoder = checkedDecoder(imageDecoder());
  const { previewAugmentation } = augmentationCommands({ store, decoder, membersOf: () => Promise.resolve(members) });
  const plain = { id: 'set', config, weightsId: null, from: 0, count: 3, epochs: [1, 2], side: 512 };
  return async (wanted: Partial<Parameters<typeof previewAugmentation>[0]> = {}) =>
    previewAugmentation({ ...plain, ...wanted });
}

const sides = [
  [40, 37],
  [61, 44],
  [33, 90],
  [64, 64],
] as const;
const four = sides.map(([width, height], i) => ({ picture: formulaPicture(width, height, 31 * i), label: i % 2 }));

describe('a preview of augmentation', () => {
  it.each(Object.values(crops))(
    'shows first what torchvision’s test transform makes: $width×$height, $size px, $geometry',
    async ({ width, height, size, geometry, sha256: expected }) => {
      const { store } = await stored([{ picture: formulaPicture(width, height) }]);
      const data = { ...config.data, img_size: size, geometry };
      const { images } = await commands(store)({ config: { ...config, data }, epochs: [] });
      expect(images[0]?.tiles).toHaveLength(1);
      expect(bytesToHex(sha256(images[0]?.tiles?.[0]?.data as Uint8Array))).toBe(expected);
    },
  );

  it.each([true, false])('then what the network is given in each epoch, rounded (varied: %s)', async (enabled) => {
    const { store, dataset } = await stored(four);
    const training = { ...config.training, augmentation: { ...config.training.augmentation, enabled, degrees: 40 } };
    const epochs = [1, 2, 7];
    const { images } = await commands(store)({ config: { ...config, training }, count: 4, epochs });
    const mean = [0.4, 0.45, 0.5];
    const std = [0.2, 0.25, 0.3];
    const { img_size: size } = config.data;
    const settings = {
      seed: training.seed,
      batchSize: 4,
      size,
      augmentation: training.augmentation,
      mean,
      std,
    };
    for (const [e, epoch] of epochs.entries()) {
      const source = enabled
        ? imageSource(store, dataset, { cacheBytes: 1e6 })
        : evaluationSource(store, dataset, checkedDecoder(imageDecoder()), config.data);
      const batches = trainingBatches(source, dataset.images, [0, 1, 2, 3], epoch, settings);
      const given = inputOf((await batches.next()).value as TrainingBatch);
      const side = size * size * 3;
      epochOrder([0, 1, 2, 3], training.seed, epoch).forEach((index, i) => {
        const learnt = given
          .subarray(i * side, (i + 1) * side)
          .map((x, k) => 255 * (x * (std[k % 3] as number) + (mean[k % 3] as number)));
        const shown = images.find((image) => image.index === index)?.tiles?.[1 + e]?.data as Uint8Array;
        const off = learnt.map((x, k) => Math.abs(x - (shown[k] as number)));
        // Half a level by rounding, and a thousandth by normalising in float32.
        expect(Math.max(...off)).toBeLessThan(0.501);
      });
    }
  });

  it('draws anew for each epoch and each image, and the same when it is asked again', async () => {
    const { store } = await stored(Array.from({ length: 2 }, () => ({ picture: formulaPicture(50, 50) })));
    const first = await commands(store)();
    const pictures = first.images.flatMap(({ tiles }) => tiles?.slice(1).map(({ data }) => data.join()) ?? []);
    expect(new Set(pictures).size).toBe(4);
    expect(await commands(store)()).toEqual(first);
  });

  it('goes through the training images alone, class by class in turn, and begins again after the last', async () => {
    const given = (['train', 'test', 'val', 'train', 'train', 'test', 'train', 'val'] as const).map((split, i) => ({
      picture: formulaPicture(32, 32, i),
      label: [0, 0, 0, 0, 0, 1, 1, 1][i] as number,
      given: split,
    }));
    const { store } = await stored(given);
    const at = async (from: number) => (await commands(store)({ from, epochs: [] })).images.map(({ index }) => index);
    expect(await at(0)).toEqual([0, 6, 3]);
    expect(await at(3)).toEqual([4, 0, 6]);
    expect((await commands(store)({ count: 9, epochs: [] })).images).toHaveLength(4);
    expect((await commands(store)({ epochs: [] })).of).toBe(4);
  });

  it('leaves what the starting model was tested with sealed', async () => {
    const { store, dataset } = await stored(four);
    const name = (i: number): string => (dataset.images[i]?.hash ?? '').slice(0, 16);
    const members = { train: [name(0), name(1)], val: [name(2)], test: [name(3)] };
    const { images, of } = await commands(store, members)({ weightsId: 'model', count: 9 });
    expect(images.map(({ index }) => index)).toEqual([0, 1]);
    expect(of).toBe(2);
  });

  it('follows each setting that changes while it is looked at', async () => {
    const { store, dataset } = await stored(four);
    const test = [(dataset.images[0]?.hash ?? '').slice(0, 16)];
    const look = commands(store, { train: [], val: [], test });
    expect((await look()).of).toBe(4);
    const data = { ...config.data, img_size: 48 };
    const { images } = await look({ config: { ...config, data } });
    expect(images[0]?.tiles?.map((tile) => tile.data.length)).toEqual(Array(3).fill(48 * 48 * 3));
    expect((await look({ weightsId: 'model' })).of).toBe(3);
  });

  it('keeps images at hand for a minute after the last question', async () => {
    vi.useFakeTimers({ toFake: ['setTimeout', 'clearTimeout'] });
    onTestFinished(() => void vi.useRealTimers());
    const { store } = await stored(four);
    let shardsRead = 0;
    const readOriginals: DatasetStore['readOriginals'] = (...asked) => (
      (shardsRead += 1),
      store.readOriginals(...asked)
    );
    const look = commands({ ...store, readOriginals });
    const readAfter = async (pause: number): Promise<number> => {
      vi.advanceTimersByTime(pause);
      shardsRead = 0;
      await look({ count: 4 });
      return shardsRead;
    };
    expect(await readAfter(0)).toBe(4);
    expect(await readAfter(59_000)).toBe(0);
    expect(await readAfter(59_000)).toBe(0);
    expect(await readAfter(61_000)).toBe(4);
  });

  it('makes them no larger than they are shown', async () => {
    const { store } = await stored(four);
    const { images } = await commands(store)({ side: 24 });
    expect(images[2]?.tiles?.map(({ width, height }) => [width, height])).toEqual(Array(3).fill([24, 24]));
  });

  it('says which image cannot be read, and shows the others', async () => {
    const { store } = await stored(four, [1]);
    const { images } = await commands(store)({ count: 4 });
    expect(images.map(({ index, tiles }) => [index, tiles?.length ?? null])).toEqual([
      [0, 3],
      [1, null],
      [2, 3],
      [3, 3],
    ]);
  });

  it('says that the data set is gone, also where it was there a moment ago', async () => {
    const { store } = await stored(four);
    const look = commands(store);
    await look();
    await store.delete('set');
    await expect(look()).rejects.toMatchObject({ name: 'NoSuchDatasetError' });
  });

  it('has nothing to show where no image is trained on', async () => {
    const { store } = await stored([{ picture: formulaPicture(20, 20), given: 'test' }]);
    expect(await commands(store)()).toEqual({ images: [], of: 0 });
  });
});
