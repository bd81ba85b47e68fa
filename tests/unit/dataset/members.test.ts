import { describe, expect, it } from 'vitest';
import { membersOf, splitWith } from '../../../src/dataset/members.ts';
import { assignSplits } from '../../../src/dataset/split.ts';
import type { ImageEntry, Members, Split } from '../../../src/dataset/types.ts';

const settings = { validation_split: 0.15, test_split: 0.15, seed: 42 };

/** `[content, label, given]`: the hash is the content, padded to 64 digits. */
type Row = readonly [content: string, label: number, given: Split | null];

const hashOf = (content: string): string => content.padEnd(16, '.').padEnd(64, '0');
function dataset(rows: readonly Row[]) {
  const images = rows.map(
    ([content, label, given], i) =>
      ({ path: `${given}/${label}/${i}.jpg`, label, given, hash: hashOf(content) }) as ImageEntry,
  );
  const classes = Array.from({ length: Math.max(...images.map(({ label }) => label)) + 1 }, (_, i) => `class ${i}`);
  return { images, classes };
}
const rows = (prefix: string, n: number, label: number, given: Split | null): Row[] =>
  Array.from({ length: n }, (_, i) => [`${prefix}${i}`, label, given] as const);
const named = (...contents: string[]): string[] => contents.map((content) => hashOf(content).slice(0, 16));
const members = (parts: Partial<Members>): Members => ({ train: [], val: [], test: [], ...parts });

describe('membersOf', () => {
  it('names images by 16 digits of their hash, sorted, copies once', () => {
    const set = dataset([
      ['cc', 0, null],
      ['aa', 0, null],
      ['cc', 1, null],
      ['bb', 1, null],
    ]);
    expect(membersOf(set, { train: [0, 1, 2], val: [3], test: [] })).toEqual({
      train: ['aa..............', 'cc..............'],
      val: ['bb..............'],
      test: [],
    });
  });
});

describe('splitWith', () => {
  it('is assignSplits without members, and the very same split with the data set’s own, copies across splits included', () => {
    const flat = dataset([...rows('a', 40, 0, null), ...rows('b', 20, 1, null), ...rows('a', 12, 1, null)]);
    const folders = dataset([...rows('a', 20, 0, 'train'), ...rows('a', 5, 0, 'test'), ...rows('b', 9, 1, 'train')]);
    for (const set of [flat, folders]) {
      for (const seed of [1, 2, 3, 4, 5]) {
        const drawn = assignSplits(set, { ...settings, seed });
        expect(splitWith(set, { ...settings, seed }, null)).toEqual(drawn);
        expect(splitWith(set, { ...settings, seed }, membersOf(set, drawn))).toEqual(drawn);
      }
    }
  });

  it('keeps what is known and draws the new ones alone: 20 new → 3 test, 3 of 17 val', () => {
    const old = rows('old', 8, 0, null);
    const set = dataset([...old, ...rows('new', 20, 0, null), ...rows('other', 3, 1, null)]);
    const split = splitWith(
      set,
      settings,
      members({
        test: named('old0', 'old5', 'old6'),
        val: named('old1'),
        train: named('old2', 'old3', 'old4', 'old7'),
      }),
    );
    const of = (indices: readonly number[], from: number, to: number): number[] =>
      indices.filter((i) => i >= from && i < to);
    expect([split.test, split.val, split.train].map((part) => of(part, 0, 8))).toEqual([[0, 5, 6], [1], [2, 3, 4, 7]]);
    expect([split.test, split.val, split.train].map((part) => of(part, 8, 28).length)).toEqual([3, 3, 14]);
    expect([split.test, split.val, split.train].map((part) => of(part, 28, 31).length)).toEqual([1, 1, 1]);
    const alone = assignSplits(dataset([...rows('new', 20, 0, null), ...rows('other', 3, 1, null)]), settings);
    expect(split.test.filter((i) => i >= 28).length).toBe(alone.test.filter((i) => i >= 20).length);
  });

  it('asks the new images alone whether they have a Test folder', () => {
    const known = members({ train: named('a0', 'a1', 'a2', 'a3'), test: named('t0', 't1') });
    const old: Row[] = [...rows('a', 4, 0, 'train'), ...rows('t', 2, 0, 'test')];
    // The old ones have one, the new ones have none: 20 → 3 test, 3 of 17 val.
    const without = splitWith(dataset([...old, ...rows('n', 20, 0, null)]), settings, known);
    expect([without.train.length, without.val.length, without.test.length]).toEqual([4 + 14, 3, 2 + 3]);
    // The new ones have their own: 20 train → 3 val, and 2 test.
    const added: Row[] = [...rows('n', 20, 0, 'train'), ...rows('u', 2, 0, 'test')];
    const withTest = splitWith(dataset([...old, ...added]), settings, known);
    expect([withTest.train.length, withTest.val.length, withTest.test.length]).toEqual([4 + 17, 3, 2 + 2]);
    expect(withTest.test).toEqual([4, 5, 26, 27]);
  });

  it('gives Test before Val before Train where members name an image in several, whatever its folder says', () => {
    const set = dataset([
      ['a', 0, 'train'],
      ['b', 0, 'train'],
      ['c', 0, 'train'],
      ['d', 0, 'test'],
    ]);
    const all = named('a', 'b');
    const split = splitWith(
      set,
      { ...settings, validation_split: 0 },
      members({ val: [...all, ...named('d')], test: named('a'), train: named('c', 'd') }),
    );
    expect(split).toEqual({ test: [0], val: [1, 3], train: [2] });
  });

  it('keeps copies among the new images together, in Test if one lies there, and remembers that', () => {
    const set = dataset([
      ['a', 0, 'train'],
      ['n', 0, 'train'],
      ['n', 0, 'test'],
      ['m', 0, 'train'],
    ]);
    const none = { ...settings, validation_split: 0 };
    const split = splitWith(set, none, members({ train: named('a') }));
    expect(split).toEqual({ train: [0, 3], val: [], test: [1, 2] });
    expect(splitWith(set, none, membersOf(set, split))).toEqual(split);
  });

  it('leaves out what is gone', () => {
    const set = dataset(rows('a', 2, 0, null));
    expect(splitWith(set, settings, members({ train: named('a0', 'gone'), test: named('a1') }))).toEqual({
      train: [0],
      val: [],
      test: [1],
    });
  });
});
