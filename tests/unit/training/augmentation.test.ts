import { describe, expect, it } from 'vitest';
import { augmentedPixels } from '../../../src/engine/augmentation.ts';
import { drawAffine, drawCrop, drawJitter } from '../../../src/training/augmentation.ts';
import type { AugmentationSettings } from '../../../src/training/settings.ts';
import { random } from '../../../src/random.ts';
import { augmentationCases, augmentationSuite } from '../support/augmentationSuite.ts';

augmentationSuite('processor', 'npm test -- augmentation', 2e-5, (cases, size) => {
  const pixels = cases.map(({ source, augmentation }) => [...augmentedPixels(source, size, augmentation)]);
  return Promise.resolve(Float32Array.from(pixels.flat()));
});

it.each(augmentationCases)('$name: the inverse matrix is torchvision’s', ({ augmentation, matrix }) => {
  augmentation.matrix.forEach((value, i) => expect(value).toBeCloseTo(matrix[i]!, 10));
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
