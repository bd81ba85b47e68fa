import { random, STREAMS } from '../random.ts';
import type { DataSettings } from './settings.ts';
import type { Dataset, Split } from './types.ts';

/** Indices into `Dataset.images`, ascending. */
export type SplitIndices = Readonly<Record<Split, readonly number[]>>;

/** How many images each has; of a split, or of the names in `Members`. */
export function sizesOf({ train, val, test }: Readonly<Record<Split, readonly unknown[]>>): Record<Split, number> {
  return { train: train.length, val: val.length, test: test.length };
}

/**
 * Which image belongs to which split. What the folders say stands. Where there is no Test folder, `test_split` of each
 * class is taken for it, and where there is no Val folder, `validation_split` of what is left of each class: stratified,
 * by a shuffle that depends on seed, class and paths alone. A class that has two images or more for training gives at
 * least one to validation (unless `validation_split` is 0) and keeps at least one.
 */
export function assignSplits(
  dataset: Pick<Dataset, 'images' | 'classes'>,
  settings: Pick<DataSettings, 'validation_split' | 'test_split' | 'seed'>,
): SplitIndices {
  const { images } = dataset;
  const given = new Set(images.map((image) => image.given));
  const split: Record<Split, number[]> = { train: [], val: [], test: [] };
  const pools: number[][] = dataset.classes.map(() => []);
  images.forEach((image, index) => {
    if (image.given === 'test' || image.given === 'val') split[image.given].push(index);
    else (pools[image.label] as number[]).push(index);
  });
  pools.forEach((pool, label) => {
    pool.sort((a, b) => ((images[a]?.path ?? '') < (images[b]?.path ?? '') ? -1 : 1));
    random(settings.seed, STREAMS.split, label).shuffle(pool);
    // Test comes first, so that another validation_split leaves the Test images as they are; two images are for train and val.
    const testCount =
      given.has('test') || pool.length < 3 ? 0 : Math.min(pool.length - 2, share(settings.test_split, pool.length));
    const rest = pool.slice(testCount);
    const valCount = given.has('val') ? 0 : share(settings.validation_split, rest.length);
    split.test.push(...pool.slice(0, testCount));
    split.val.push(...rest.slice(0, valCount));
    split.train.push(...rest.slice(valCount));
  });
  for (const indices of Object.values(split)) indices.sort((a, b) => a - b);
  return split;
}

/** `part` of `n`, rounded; at least one where anything is wanted; always leaves one. */
function share(part: number, n: number): number {
  if (part === 0 || n < 2) return 0;
  return Math.min(n - 1, Math.max(1, Math.round(part * n)));
}
