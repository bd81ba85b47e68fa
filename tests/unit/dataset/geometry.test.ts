import { readFileSync } from 'node:fs';
import { sha256 } from '@noble/hashes/sha2.js';
import { bytesToHex } from '@noble/hashes/utils.js';
import { describe, expect, it } from 'vitest';
import { cacheShortSide, cacheSize, evaluationCrop, resize, thumbnail } from '../../../src/dataset/geometry.ts';
import type { RgbImage } from '../../../src/dataset/types.ts';

/** Made by tests/python/make_geometry.py from Pillow and torchvision. */
const fixture = JSON.parse(readFileSync(new URL('../../fixtures/geometry.json', import.meta.url), 'utf8')) as {
  resizes: Record<string, Expected & { width: number; height: number; x: number; y: number }>;
  crops: Record<string, Expected & { width: number; height: number; size: number; geometry: 'center_crop' | 'squash' }>;
  caches: Record<string, { width: number; height: number; imgSize: number; cacheWidth: number; cacheHeight: number }>;
};
interface Expected {
  outWidth: number;
  outHeight: number;
  sha256: string;
  first: number[];
}

/** The formula of the fixture's maker. */
function picture(width: number, height: number): RgbImage {
  const data = Uint8Array.from({ length: width * height * 3 }, (_, i) => Math.floor((i * 2654435761) / 128) % 256);
  return { width, height, data };
}

function expectEqual(image: RgbImage, expected: Expected): void {
  expect([image.width, image.height]).toEqual([expected.outWidth, expected.outHeight]);
  expect([...image.data.subarray(0, 12)]).toEqual(expected.first);
  expect(bytesToHex(sha256(image.data))).toBe(expected.sha256);
}

describe('resize', () => {
  it.each(Object.values(fixture.resizes))('equals Pillow’s bit for bit: $width×$height → $x×$y', (given) => {
    expectEqual(resize(picture(given.width, given.height), given.x, given.y), given);
  });
});

describe('evaluationCrop', () => {
  it.each(Object.values(fixture.crops))('equals torchvision’s: $width×$height, $size px, $geometry', (given) => {
    expectEqual(evaluationCrop(picture(given.width, given.height), given.size, given.geometry), given);
  });
});

describe('cacheSize', () => {
  it.each(Object.values(fixture.caches))('is that of Resize(ceil(1.15 × $imgSize)) for $width×$height', (given) => {
    const size = cacheSize(given, cacheShortSide(given.imgSize));
    expect([size.width, size.height]).toEqual([given.cacheWidth, given.cacheHeight]);
  });
});

describe('thumbnail', () => {
  it('keeps the proportions and never enlarges', () => {
    expect(thumbnail(picture(100, 50), 40)).toMatchObject({ width: 40, height: 20 });
    const small = picture(20, 10);
    expect(thumbnail(small, 40)).toBe(small);
  });
});
