import { createHash } from 'node:crypto';
import { readFileSync } from 'node:fs';
import { expect, test } from '@playwright/test';
import { storedImages } from './storedImages.ts';
import { drop, open, useSample } from './support.ts';

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
