import { sha256 } from '@noble/hashes/sha2.js';
import { bytesToHex } from '@noble/hashes/utils.js';
import type { SampleSettings } from '../settings.ts';
import type { Dataset } from '../types.ts';
import { sampleImages } from './drawSample.ts';

/**
 * The data set that these settings would draw, among those that are stored. An image depends on seed, size, class and its number alone:
 * where all paths are the same, one drawn image stands for all.
 */
export function findSample(datasets: readonly Dataset[], settings: SampleSettings): Dataset | undefined {
  const images = sampleImages(settings);
  const paths = new Set(images.map(({ path }) => path));
  const alike = datasets.filter(
    (one) =>
      one.source === 'sample' && one.images.length === paths.size && one.images.every(({ path }) => paths.has(path)),
  );
  const first = images[0];
  if (first === undefined || alike.length === 0) return undefined;
  const hash = bytesToHex(sha256(first.draw()));
  return alike.find((one) => one.images.some((image) => image.path === first.path && image.hash === hash));
}
