import { describe, expect, it } from 'vitest';
import { formats, groups } from '../../../src/app/views/export/formats.ts';
import { difference } from '../../../src/app/certificateWords.ts';
import { exportFormats, type ExportFormat } from '../../../src/export/index.ts';
import { readers } from '../../../src/parity/readers.ts';

describe('what the page says of the export formats', () => {
  const writers: readonly ExportFormat[] = Object.values(exportFormats);

  it.each(writers.map((format) => [format.id, format] as const))('%s: as its writer does', (id, format) => {
    const words = formats[id as keyof typeof exportFormats];
    expect(words.precisions).toEqual(format.precisions);
    expect(words.weights).toEqual(format.weightStorages ?? ['full']);
    expect(words.makers).toBe(format.makerOutput ?? false);
    expect(words.certified).toBe(id in readers);
    expect(format.extension.startsWith(words.ending)).toBe(true);
  });

  it('offers each once, and the bundle', () => {
    const offered = groups.flatMap(({ choices }) => choices);
    expect(offered.toSorted()).toEqual([...Object.keys(exportFormats), 'bundle'].sort());
    expect(new Set(offered).size).toBe(offered.length);
  });
});

describe('a difference of probabilities', () => {
  it.each([
    [0, '0'],
    [3.14159e-7, '3.1e-7'],
    [0.00123456, '0.0012'],
    [0.05, '0.05'],
    [1e-5, '1e-5'],
    [0.00024, '0.00024'],
    [NaN, 'not a number'],
  ])('%d is written as %s', (value, text) => expect(difference(value)).toBe(text));
});
