import { describe, expect, it } from 'vitest';
import { bytes, count, duration, percent } from '../../../src/app/format.ts';
import { imageData } from '../../../src/app/pixels.ts';
import { interleaved } from '../../../src/app/views/data/interleaved.ts';

// Node has no ImageData; the page's is a width, a height and the bytes.
class PlainImageData {
  constructor(
    readonly data: Uint8ClampedArray,
    readonly width: number,
    readonly height: number,
  ) {}
}
Object.assign(globalThis, { ImageData: PlainImageData });

describe('figures', () => {
  it('carry units and sensible digits, with a no-break space between', () => {
    expect([0.924, 1, 0.0004].map((share) => percent(share))).toEqual(['92.4\u00a0%', '100.0\u00a0%', '0.0\u00a0%']);
    expect([0, 999, 1000, 1_600_000_000, 99_949_000, 999_600].map(bytes)).toEqual(
      ['0 B', '999 B', '1.0 kB', '1.6 GB', '99.9 MB', '1.0 MB'].map((text) => text.replace(' ', '\u00a0')),
    );
    expect([0.04, 8.2, 60, 200, 599.7, 1500, 7500].map((s) => duration(s).replaceAll('\u00a0', ' '))).toEqual([
      '40 ms',
      '8 s',
      '1 min',
      '3 min 20 s',
      '10 min',
      '25 min',
      '2 h 5 min',
    ]);
    expect([count(1, 'class', 'classes'), count(1676, 'image')]).toEqual(['1\u00a0class', '1,676\u00a0images']);
  });
});

describe('the gallery', () => {
  it('shows one of each class, then the next of each, in the order of the files', () => {
    const items = ['a1', 'a2', 'a3', 'b1', 'c1', 'c2'];
    expect(interleaved(items, (item) => item.charCodeAt(0))).toEqual(['a1', 'b1', 'c1', 'a2', 'c2', 'a3']);
  });

  it('hands a canvas opaque pixels in the order of the image', () => {
    const { data } = imageData({ width: 2, height: 1, data: new Uint8Array([1, 2, 3, 250, 251, 252]) });
    expect([...data]).toEqual([1, 2, 3, 255, 250, 251, 252, 255]);
  });
});
