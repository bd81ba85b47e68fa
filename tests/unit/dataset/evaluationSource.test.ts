import { encode } from 'fast-png';
import { beforeAll, describe, expect, it } from 'vitest';
import { UnreadableImageError } from '../../../src/dataset/errors.ts';
import { evaluationSource } from '../../../src/dataset/evaluationSource.ts';
import type { Dataset, ImageDecoder } from '../../../src/dataset/types.ts';
import { memoryDatasetStore } from '../../../src/platform/node/memoryDatasetStore.ts';
import { decoder, differenceOf, foreign, photograph, photographs, type Pixels } from '../support/preprocessing.ts';
import { importZip, zipOf } from './archives.ts';

const store = memoryDatasetStore();
const settings = { img_size: 64, geometry: 'center_crop', num_workers: 2 } as const;
const all = photographs.map((_, i) => i);
let dataset: Dataset;
beforeAll(async () => {
  const files = Object.fromEntries(photographs.map((name, i) => [`class ${i}/${name}`, photograph(name)]));
  dataset = await importZip(await zipOf(files), { store, imgSize: 64 });
});

/** The decoder, and how often and with how many at once it was asked. */
function counting() {
  const count = { decoded: 0, now: 0, most: 0 };
  const counted: ImageDecoder = {
    decode: async (file) => {
      count.decoded += 1;
      count.now += 1;
      count.most = Math.max(count.most, count.now);
      try {
        const image = await decoder.decode(file);
        // However small it is, those beside it have begun.
        await new Promise((resolve) => setTimeout(resolve, 5));
        return image;
      } finally {
        count.now -= 1;
      }
    },
  };
  return { count, counted };
}

describe('what evaluation reads', () => {
  it.each(['center_crop', 'squash'] as const)(
    'is torchvision’s test transform of the originals: %s',
    async (geometry) => {
      const source = evaluationSource(store, dataset, decoder, { ...settings, geometry });
      const images = await source.read(all);
      for (const [i, name] of photographs.entries()) {
        const expected = (foreign.cropped as Record<string, Pixels>)[`${name}: 64, ${geometry}`]!;
        expect(differenceOf(images[i]!, expected).worst, name).toBeLessThanOrEqual(name.endsWith('.png') ? 0 : 1);
      }
    },
  );

  it('comes in the order asked for, and is decoded once while it fits', async () => {
    const { count, counted } = counting();
    const source = evaluationSource(store, dataset, counted, settings);
    const first = await source.read([3, 1, 1, 0]);
    expect(count.decoded).toBe(3);
    const again = await source.read([0, 3, 2]);
    expect(count.decoded).toBe(4);
    expect([again[0], again[1]]).toEqual([first[3], first[0]]);
    expect(count.most).toBe(2);
  });

  it('is decoded again where it does not fit: the first ones stay', async () => {
    const { count, counted } = counting();
    const source = evaluationSource(store, dataset, counted, settings, 3 * 64 * 64 * 3);
    const first = await source.read(all);
    expect(count.decoded).toBe(all.length);
    expect(await source.read(all)).toEqual(first);
    expect(count.decoded).toBe(2 * all.length - 3);
  });

  it('keeps what is read often, whatever came first', async () => {
    const { count, counted } = counting();
    const source = evaluationSource(store, dataset, counted, settings, 3 * 64 * 64 * 3, [4, 5]);
    await source.read([0, 1, 2, 3]);
    await source.read([4, 5]);
    count.decoded = 0;
    await source.read([0, 4, 5]);
    expect(count.decoded).toBe(0);
    await source.read([1, 2, 3]);
    expect(count.decoded).toBe(3);
  });

  describe('of files whose decoding holds the thread', () => {
    /** Radiographs: `count` grey PNGs of `side` pixels. */
    async function radiographs(count: number, side: number) {
      const files: Record<string, Uint8Array<ArrayBuffer>> = {};
      for (let n = 0; n < count; n++) {
        const data = Uint8Array.from({ length: side * side }, (_, i) => (i * (n + 3)) & 255);
        const png = encode({ width: side, height: side, data, channels: 1, depth: 8 });
        files[`class ${n % 2}/${n}.png`] = new Uint8Array(png);
      }
      const kept = memoryDatasetStore();
      return { kept, data: await importZip(await zipOf(files), { store: kept, imgSize: 64 }) };
    }

    it('hears others before each of them, and has one at a time', async () => {
      const { kept, data } = await radiographs(6, 700);
      const { count, counted } = counting();
      /** Turns of the event loop that others got; each decoding notes how many there were. */
      let turns = 0;
      const atDecoding: number[] = [];
      const noting: ImageDecoder = {
        decode: (file) => {
          atDecoding.push(turns);
          return counted.decode(file);
        },
      };
      let over = false;
      const others = (): void => {
        turns += 1;
        if (!over) setImmediate(others);
      };
      setImmediate(others);
      const source = evaluationSource(kept, data, noting, { ...settings, num_workers: 4 });
      await source.read([0, 1, 2, 3, 4, 5], () => Promise.resolve());
      over = true;
      expect(atDecoding).toHaveLength(6);
      // Between two decodings, one turn at least before the crop and one before the next decoding.
      atDecoding.forEach((at, i) =>
        expect(at, `decoding ${i}`).toBeGreaterThanOrEqual(i === 0 ? 1 : atDecoding[i - 1]! + 2),
      );
      expect(count.most).toBe(1);
    });

    it('starts no more of them once nobody waits', async () => {
      const { kept, data } = await radiographs(6, 100);
      const { count, counted } = counting();
      const source = evaluationSource(kept, data, counted, { ...settings, num_workers: 4 });
      const stopped = source.read([0, 1, 2, 3, 4, 5], () => Promise.reject(new Error('suspended')));
      await expect(stopped).rejects.toThrow('suspended');
      await new Promise((resolve) => setTimeout(resolve, 50));
      expect(count.decoded).toBeLessThanOrEqual(2);
    });
  });

  it('tries once more, alone, what could not be decoded', async () => {
    const { count, counted } = counting();
    const crowded: ImageDecoder = {
      decode: async (file) => {
        if (count.now > 0) {
          count.decoded += 1;
          throw new UnreadableImageError('corrupt image');
        }
        return counted.decode(file);
      },
    };
    const jpegs = all.filter((i) => dataset.images[i]!.path.endsWith('.jpg'));
    expect(jpegs.length).toBeGreaterThan(2);
    const source = evaluationSource(store, dataset, crowded, { ...settings, num_workers: 4 });
    const expected = await evaluationSource(store, dataset, decoder, settings).read(jpegs);
    expect(await source.read(jpegs)).toEqual(expected);
    expect(count.decoded).toBeGreaterThan(jpegs.length);
  });

  it('lets others in after each image that is decoded, and ends where they say so', async () => {
    let turns = 0;
    const source = evaluationSource(store, dataset, decoder, settings);
    await source.read([0, 1, 2], () => Promise.resolve(void (turns += 1)));
    expect(turns).toBe(3);
    await source.read([0, 1, 2], () => Promise.resolve(void (turns += 1)));
    expect(turns).toBe(3);
    const stopped = source.read([0, 3, 4, 5], () => Promise.reject(new Error('suspended')));
    await expect(stopped).rejects.toThrow('suspended');
  });

  it('names an image that can’t be decoded any more', async () => {
    const damaged = {
      ...store,
      readOriginals: async (id: string, shard: number) => (await store.readOriginals(id, shard)).slice().fill(0, 200),
    };
    const source = evaluationSource(damaged, dataset, decoder, settings);
    await expect(source.read([1])).rejects.toMatchObject({
      name: 'StoredImageError',
      message: expect.stringContaining(dataset.images[1]!.path) as string,
    });
    const gone = evaluationSource(memoryDatasetStore(), dataset, decoder, settings);
    await expect(gone.read([1])).rejects.toMatchObject({ name: 'NoSuchDatasetError' });
  });
});
