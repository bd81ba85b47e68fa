import { createHash } from 'node:crypto';
import { readFileSync } from 'node:fs';
import { expect, test, type Page } from '@playwright/test';
import { drop, open, useSample } from './support.ts';

interface StoredImage {
  readonly path: string;
  readonly width: number;
  readonly height: number;
  readonly cache: string;
  readonly original: string;
}

/** The newest data set's images, straight out of IndexedDB; bytes as binary strings. */
async function storedImages(page: Page): Promise<StoredImage[]> {
  return page.evaluate(async () => {
    const answer = <T>(request: IDBRequest<T>): Promise<T> =>
      new Promise((resolve, reject) => {
        request.onsuccess = () => resolve(request.result);
        request.onerror = () => reject(request.error ?? new Error('IndexedDB does not answer.'));
      });
    const database = await answer(indexedDB.open('pacerid-datasets'));
    const store = database.transaction('records').objectStore('records');
    const keys = (await answer(store.getAllKeys())).map(String);
    const values = (await answer(store.getAll())) as unknown[];
    database.close();
    const all = new Map(keys.map((key, i) => [key, values[i]]));
    interface Record {
      id: string;
      createdAt: number;
      images: {
        path: string;
        shard: number;
        cacheOffset: number;
        cacheWidth: number;
        cacheHeight: number;
        originalOffset: number;
        fileBytes: number;
      }[];
    }
    const [newest] = keys
      .filter((key) => key.startsWith('dataset/'))
      .map((key) => all.get(key) as Record)
      .sort((a, b) => b.createdAt - a.createdAt);
    const text = (bytes: Uint8Array): string => Array.from(bytes, (byte) => String.fromCharCode(byte)).join('');
    return (newest?.images ?? []).map((image) => {
      const shard = `${newest?.id}/${String(image.shard).padStart(6, '0')}`;
      const caches = all.get(`cache/${shard}`) as Uint8Array;
      const originals = all.get(`original/${shard}`) as Uint8Array;
      const { path, cacheOffset, cacheWidth: width, cacheHeight: height, originalOffset, fileBytes } = image;
      const cache = text(caches.subarray(cacheOffset, cacheOffset + width * height * 3));
      return {
        path,
        width,
        height,
        cache,
        original: text(originals.subarray(originalOffset, originalOffset + fileBytes)),
      };
    });
  });
}

test('an archive by Python: the browser’s pixels are Pillow’s, orientation, profiles and alpha included', async ({
  page,
}) => {
  await open(page);
  const bytes = new Uint8Array(readFileSync('tests/fixtures/foreign.zip'));
  await drop(page, [{ name: 'foreign.zip', bytes, type: 'application/zip' }]);
  await expect(page.getByRole('button', { name: 'Set up training' })).toBeVisible();
  const expected = JSON.parse(readFileSync('tests/fixtures/foreign.json', 'utf8')) as Record<
    string,
    { width: number; height: number; pixels: number[] }
  >;
  const images = await storedImages(page);
  expect(images).toHaveLength(Object.keys(expected).length);
  for (const { path, width, height, cache } of images) {
    const name = path.split('/').slice(2).join('/');
    const want = expected[name];
    expect([name, width, height]).toEqual([name, want?.width, want?.height]);
    const worst = Math.max(...(want?.pixels ?? []).map((value, i) => Math.abs(value - cache.charCodeAt(i))));
    // Two JPEG decoders may round differently; what is stored without loss must be equal.
    expect(worst, name).toBeLessThanOrEqual(name.endsWith('.jpg') ? 3 : 0);
  }
});

test('the sample data set has the same bytes here as in Node', async ({ page }) => {
  await open(page);
  await useSample(page);
  const hash = createHash('sha256');
  const images = (await storedImages(page)).sort((a, b) => (a.path < b.path ? -1 : 1));
  for (const { path, original } of images) hash.update(`${path}\n`).update(Buffer.from(original, 'latin1'));
  const pinned = /[0-9a-f]{64}/.exec(readFileSync('tests/unit/dataset/sample.test.ts', 'utf8'))?.[0];
  expect(hash.digest('hex')).toBe(pinned);
});
