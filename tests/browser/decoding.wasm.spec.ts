import { readdirSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import { expect, test } from '@playwright/test';
import JSZip from 'jszip';
import { checkedDecoder } from '../../src/dataset/decoding.ts';
import { imageSource } from '../../src/dataset/imageSource.ts';
import { importFiles } from '../../src/dataset/import.ts';
import { imageDecoder } from '../../src/platform/node/imageDecoder.ts';
import { memoryDatasetStore } from '../../src/platform/node/memoryDatasetStore.ts';
import { storedImages } from './storedImages.ts';
import { drop, open } from './support.ts';

const PHOTOGRAPHS = 'tests/fixtures/photographs';

/** Encodings of one small picture, and photographs whose short side is under that of the uncropped cache: its pixels are the file's. */
async function archive(): Promise<Uint8Array<ArrayBuffer>> {
  const zip = await JSZip.loadAsync(readFileSync('tests/fixtures/decoding.zip'));
  for (const name of readdirSync(PHOTOGRAPHS).filter((one) => !one.endsWith('.md')))
    zip.file(`Train/photograph/${name}`, readFileSync(join(PHOTOGRAPHS, name)));
  return zip.generateAsync({ type: 'uint8array' }) as Promise<Uint8Array<ArrayBuffer>>;
}

/**
 * Largest and mean difference of 255 that are let pass, by what the files' paths begin with. Node's own pixels are held against PIL's in
 * tests/unit/dataset/preprocessing.test.ts: page and PIL are no further apart than both together.
 */
const bounds: readonly (readonly [files: string, worst: number, mean: number])[] = [
  ['photograph/', 1, 0.01],
  ['jpeg/444', 1, 0.01],
  ['jpeg/422', 1, 0.01],
  ['jpeg/420', 1, 0.01],
  ['jpeg/411', 1, 0.01],
  ['jpeg/grey', 1, 0.01],
  ['jpeg/rgb', 1, 0.01],
  ['jpeg/cmyk', 1, 0.01],
  ['png/', 0, 0],
  ['webp/lossless', 0, 0],
  ['webp/lossy', 1, 0.01],
];

test('the page and Node decode the same archive to the same pixels', async ({ page }) => {
  await open(page);
  const bytes = await archive();
  await drop(page, [{ name: 'decoding.zip', bytes, type: 'application/zip' }]);
  await expect(page.getByRole('button', { name: 'Set up training' })).toBeVisible();
  const there = new Map((await storedImages(page)).map((image) => [image.path, image]));

  const store = memoryDatasetStore();
  const dataset = await importFiles(
    { files: [{ path: 'decoding.zip', file: new Blob([bytes]) }], name: 'decoding.zip', source: 'zip' },
    {
      store,
      decoder: checkedDecoder(imageDecoder()),
      imgSize: 224,
      decoders: 2,
      signal: new AbortController().signal,
    },
  );
  expect(dataset.skipped).toEqual([]);
  expect(there.size).toBe(dataset.images.length);
  const here = await imageSource(store, dataset, { cacheBytes: 2 ** 26 }).read(dataset.images.map((_, i) => i));
  const differences = dataset.images.map(({ path }, i) => {
    const ours = here[i];
    const theirs = there.get(path);
    if (ours === undefined || theirs === undefined) throw new Error(`${path} is missing.`);
    expect([path, theirs.width, theirs.height]).toEqual([path, ours.width, ours.height]);
    const each = Array.from(ours.data, (value, k) => Math.abs(value - theirs.cache.charCodeAt(k)));
    const mean = each.reduce((sum, value) => sum + value, 0) / each.length;
    return { path: path.replace('Train/', ''), worst: each.reduce((most, value) => Math.max(most, value), 0), mean };
  });

  const rows = bounds.map(([prefix, ...allowed]) => {
    const own = differences.filter(({ path }) => path.startsWith(prefix));
    const worst = Math.max(...own.map((one) => one.worst));
    return { prefix, files: own.length, worst, mean: Math.max(...own.map(({ mean }) => mean)), allowed };
  });
  const print = (...cells: readonly (string | number)[]): void => console.log(`| ${cells.join(' | ')} |`);
  print('Page against Node', 'Files', 'Largest difference of 255', 'Largest mean difference of a file');
  print('---', '---', '---', '---');
  for (const { prefix, files, worst, mean } of rows) print(prefix, files, worst, mean.toFixed(4));
  expect(rows.reduce((sum, { files }) => sum + files, 0)).toBe(dataset.images.length);
  for (const { prefix, worst, mean, allowed } of rows) {
    expect(worst, prefix).toBeLessThanOrEqual(allowed[0]);
    expect(mean, prefix).toBeLessThanOrEqual(allowed[1]);
  }
});
