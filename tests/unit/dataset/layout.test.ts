import { describe, expect, it } from 'vitest';
import { byCodePoint, findLayout } from '../../../src/dataset/layout.ts';

const placedAs = (paths: string[]): string[] =>
  findLayout(paths).placed.map(({ path, className, given }) => `${path} = ${className} (${given})`);

describe('findLayout', () => {
  it('finds Train and Test at any depth and in any letter case', () => {
    const paths = ['a/b/TRAIN/MDT - Azure/1.jpg', 'a/b/test/MDT - Azure/2.jpg', 'a/b/Validation/X/3.jpg'];
    expect(placedAs(paths)).toEqual([
      'a/b/TRAIN/MDT - Azure/1.jpg = MDT - Azure (train)',
      'a/b/test/MDT - Azure/2.jpg = MDT - Azure (test)',
      'a/b/Validation/X/3.jpg = X (val)',
    ]);
    expect(findLayout(paths).layout).toBe('splits');
  });

  it('gives all below a class’s folder to the class, as torchvision’s ImageFolder walks', () => {
    expect(placedAs(['Train/A/left/1.jpg', 'Train/B/2.jpg'])).toEqual([
      'Train/A/left/1.jpg = A (train)',
      'Train/B/2.jpg = B (train)',
    ]);
  });

  it('takes a class that is itself named Test for a class', () => {
    expect(placedAs(['Train/Test/1.jpg', 'Train/B/2.jpg'])).toContain('Train/Test/1.jpg = Test (train)');
  });

  it('reads a flat layout below single folders, whatever lies beside it', () => {
    const found = findLayout([
      'set-main/README.md',
      'set-main/Examples/e.jpg',
      ...['0', '1'].flatMap((c) => [1, 2].map((i) => `set-main/Dataset/${c}/${i}.JPG`)),
    ]);
    expect(found.layout).toBe('flat');
    expect(found.placed.map(({ className }) => className)).toEqual(['0', '0', '1', '1']);
    expect(found.skipped.map(({ path }) => path)).toEqual(['set-main/README.md', 'set-main/Examples/e.jpg']);
  });

  it('does not mistake a Test folder without a Train folder for splits', () => {
    expect(findLayout(['Test/A/1.jpg', 'Test/B/1.jpg']).layout).toBe('flat');
  });

  it('takes the fuller of two data sets and lists the other', () => {
    const found = findLayout(['raw/Train/A/1.jpg', 'processed/Train/A/1.jpg', 'processed/Train/B/2.jpg']);
    expect(found.placed.map(({ path }) => path)).toEqual(['processed/Train/A/1.jpg', 'processed/Train/B/2.jpg']);
    expect(found.skipped).toEqual([{ path: 'raw/Train/A/1.jpg', reason: 'outside the Train and Test folders' }]);
  });

  it('ignores what systems leave behind, without listing it', () => {
    const litter = ['__MACOSX/Train/A/._1.jpg', 'Train/A/.DS_Store', 'Train/A/Thumbs.db', 'Train/.hidden/1.jpg'];
    const found = findLayout([...litter, 'Train/A/1.jpg']);
    expect(found.placed).toHaveLength(1);
    expect(found.skipped).toEqual([]);
  });

  it('lists images that lie in no class’s folder', () => {
    expect(findLayout(['Train/1.jpg', 'Train/A/2.jpg']).skipped).toEqual([
      { path: 'Train/1.jpg', reason: 'not in a class’s folder' },
    ]);
  });

  it('sorts by code points, as Python does: a name above the BMP comes after U+FF21', () => {
    // sorted(['\U0001f600', '\uff21', 'b', 'B', 'é']) in Python
    expect(['\u{1f600}', '\uff21', 'b', 'B', 'é'].sort(byCodePoint)).toEqual(['B', 'b', 'é', '\uff21', '\u{1f600}']);
  });
});
