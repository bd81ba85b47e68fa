import { readFileSync } from 'node:fs';
import { describe, expect, it } from 'vitest';
import {
  applyJitter,
  drawAffine,
  drawCrop,
  drawJitter,
  inverseAffine,
  warp,
  type AffineParameters,
  type CropBox,
  type JitterStep,
} from '../../../src/training/augmentation.ts';
import type { AugmentationSettings } from '../../../src/training/settings.ts';
import { random } from '../../../src/random.ts';

/** By torchvision 0.14 on PIL images: tests/python/make_augmentation.py. */
interface Case {
  name: string;
  width: number;
  height: number;
  pixels: string;
  crop: CropBox;
  affine: AffineParameters;
  jitter: JitterStep[];
  matrix: number[];
  expected: string;
}
const fixture = JSON.parse(
  readFileSync(new URL('../../fixtures/augmentation.json', import.meta.url), 'utf8'),
) as Record<string, Omit<Case, 'name'>>;
const cases: Case[] = Object.entries(fixture).map(([name, one]) => ({ name, ...one }));
const size = 32;
const bytes = (text: string): Uint8Array => new Uint8Array(Buffer.from(text, 'base64'));

function augmented(one: Case, shift = 0): Float32Array {
  const image = { width: one.width, height: one.height, data: bytes(one.pixels) };
  const [tx, ty] = one.affine.translate;
  const rgb = warp(image, size, one.crop, { ...one.affine, translate: [tx + shift, ty] });
  applyJitter(rgb, one.jitter);
  return rgb;
}

/** Mean absolute difference in levels of 0–255. */
function difference(a: ArrayLike<number>, b: ArrayLike<number>): number {
  let sum = 0;
  for (let i = 0; i < a.length; i++) sum += Math.abs((a[i] as number) - (b[i] as number));
  return sum / a.length;
}

describe('given torchvision’s parameters', () => {
  it.each(cases)('$name: the inverse matrix is torchvision’s', (one) => {
    inverseAffine(size, one.affine).forEach((value, i) => expect(value).toBeCloseTo(one.matrix[i] as number, 10));
  });

  /*
   * torchvision interpolates and rounds twice (resize, affine), we once: on these smooth pictures under one level in 256 on
   * average. Each of PIL's colour steps cuts its fractions off, half a level on average, which we don't. Half a pixel to the
   * side costs more than all that, so a wrong centre or order would show.
   */
  it.each(cases)('$name: the picture is torchvision’s within a level, and half a level for each colour step', (one) => {
    const expected = bytes(one.expected);
    const ours = augmented(one);
    expect(difference(ours, expected)).toBeLessThan(1 + 0.5 * one.jitter.length);
    expect(difference(augmented(one, 0.5), expected)).toBeGreaterThan(1.2 * difference(ours, expected));
  });
});

const settings: AugmentationSettings = {
  enabled: true,
  crop_scale: [0.9, 1],
  crop_ratio: [1, 1],
  degrees: 5,
  translate: 0.05,
  scale: [0.95, 1.05],
  shear: 5,
  brightness: 0.3,
  contrast: 0.3,
  saturation: 0.3,
  horizontal_flip: 0,
};

describe('what is drawn', () => {
  const draws = Array.from({ length: 2000 }, (_, i) => random(3, 2, 1, i));

  it('crops between 90 and 100 % of the area of a square image, everywhere in it', () => {
    const crops = draws.map((draw) => drawCrop(100, 100, settings, draw));
    for (const { top, left, width, height } of crops) {
      expect(width).toBe(height);
      expect(width * height).toBeGreaterThanOrEqual(95 * 95 - 1);
      expect(top).toBeGreaterThanOrEqual(0);
      expect(left + width).toBeLessThanOrEqual(100);
      expect(top + height).toBeLessThanOrEqual(100);
    }
    expect(Math.max(...crops.map(({ left }) => left))).toBe(5);
  });

  it('falls back to the largest central square where no crop of that area fits, as torchvision does', () => {
    expect(drawCrop(200, 100, settings, random(1))).toEqual({ top: 0, left: 50, width: 100, height: 100 });
  });

  it('spreads angles, shears and scales evenly over their ranges, and translates by whole pixels', () => {
    const affines = draws.map((draw) => drawAffine(224, settings, draw));
    const mean = (values: number[]): number => values.reduce((a, b) => a + b) / values.length;
    const angles = affines.map(({ angle }) => angle);
    expect(Math.max(...angles.map(Math.abs))).toBeLessThanOrEqual(5);
    expect(mean(angles)).toBeCloseTo(0, 0);
    // A uniform distribution over ±5 has variance 100 / 12.
    expect(mean(angles.map((angle) => angle * angle))).toBeCloseTo(100 / 12, 0);
    expect(mean(affines.map(({ scale }) => scale))).toBeCloseTo(1, 2);
    for (const { translate, shear } of affines) {
      expect(Number.isInteger(translate[0])).toBe(true);
      expect(Math.abs(translate[1])).toBeLessThanOrEqual(11);
      expect(shear[1]).toBe(0);
    }
  });

  it('puts the colour steps in each of the six orders equally often', () => {
    const counts = new Map<string, number>();
    for (const draw of draws) {
      const order = drawJitter(settings, draw)
        .map(([kind]) => kind)
        .join();
      counts.set(order, (counts.get(order) ?? 0) + 1);
    }
    expect(counts.size).toBe(6);
    // Binomial(2000, 1/6): four standard deviations are 67.
    for (const count of counts.values()) expect(Math.abs(count - 2000 / 6)).toBeLessThan(67);
  });
});
