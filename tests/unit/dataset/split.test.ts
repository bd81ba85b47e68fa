import { describe, expect, it } from 'vitest';
import { assignSplits } from '../../../src/dataset/split.ts';
import type { ImageEntry, Split } from '../../../src/dataset/types.ts';

const settings = { validation_split: 0.15, test_split: 0.15, seed: 42 };

function dataset(groups: readonly { n: number; given: Split | null; label: number }[]) {
  const images = groups.flatMap(({ n, given, label }) =>
    Array.from({ length: n }, (_, i) => ({ path: `${given}/${label}/${i}.jpg`, label, given }) as ImageEntry),
  );
  const classes = [...new Set(images.map((image) => `class ${image.label}`))];
  return { images, classes };
}
const countsOf = (set: ReturnType<typeof dataset>, indices: readonly number[]): number[] =>
  set.classes.map((_, label) => indices.filter((i) => set.images[i]?.label === label).length);

describe('assignSplits', () => {
  it('uses every image once', () => {
    const set = dataset([
      { n: 23, given: null, label: 0 },
      { n: 7, given: null, label: 1 },
    ]);
    const { train, val, test } = assignSplits(set, settings);
    expect([...train, ...val, ...test].sort((a, b) => a - b)).toEqual(set.images.map((_, i) => i));
  });

  it('takes its shares from each class, by hand: 40 → 6 test, 5 of 34 val; 20 → 3, 3; 3 → 1, 1; 2 → 0, 1; 1 → 0, 0', () => {
    const set = dataset([40, 20, 3, 2, 1].map((n, label) => ({ n, given: null, label })));
    const { train, val, test } = assignSplits(set, settings);
    expect(countsOf(set, test)).toEqual([6, 3, 1, 0, 0]);
    expect(countsOf(set, val)).toEqual([5, 3, 1, 1, 0]);
    expect(countsOf(set, train)).toEqual([29, 14, 1, 1, 1]);
  });

  it('leaves given Test and Val as they are and takes validation from Train only where there is no Val', () => {
    const both = [0, 1].flatMap((label) => [
      { n: 20, given: 'train' as const, label },
      { n: 5, given: 'test' as const, label },
    ]);
    const set = dataset(both);
    const split = assignSplits(set, settings);
    expect(split.test.map((i) => set.images[i]?.given)).toEqual(Array(10).fill('test'));
    expect(countsOf(set, split.val)).toEqual([3, 3]);

    const withVal = dataset([...both, { n: 4, given: 'val', label: 0 }]);
    expect(countsOf(withVal, assignSplits(withVal, settings).val)).toEqual([4, 0]);
    expect(assignSplits(withVal, settings).train).toHaveLength(40);
  });

  it('depends on the seed, and on nothing else: not on the order of the images, not on other classes', () => {
    const set = dataset([{ n: 30, given: null, label: 0 }]);
    const paths = (indices: readonly number[], images: readonly ImageEntry[]): string[] =>
      indices.map((i) => images[i]?.path ?? '').sort();
    const first = assignSplits(set, settings);
    const reversed = { ...set, images: set.images.toReversed() };
    expect(paths(assignSplits(reversed, settings).val, reversed.images)).toEqual(paths(first.val, set.images));
    const more = dataset([
      { n: 30, given: null, label: 0 },
      { n: 9, given: null, label: 1 },
    ]);
    expect(assignSplits(more, settings).val.filter((i) => i < 30)).toEqual(first.val);
    expect(assignSplits(set, { ...settings, seed: 43 }).val).not.toEqual(first.val);
  });

  it('takes no validation where none is wanted, and keeps Test when validation changes', () => {
    const set = dataset([{ n: 30, given: null, label: 0 }]);
    const none = assignSplits(set, { ...settings, validation_split: 0 });
    expect(none.val).toEqual([]);
    expect(none.test).toEqual(assignSplits(set, settings).test);
  });
});
