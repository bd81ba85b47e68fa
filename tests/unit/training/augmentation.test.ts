import { expect, it } from 'vitest';
import { augmentedPixels } from '../../../src/engine/augmentation.ts';
import { augmentationCases, augmentationSuite } from '../support/augmentationSuite.ts';

augmentationSuite('processor', 'npm test -- augmentation', 2e-5, (cases, size) => {
  const pixels = cases.map(({ source, augmentation }) => [...augmentedPixels(source, size, augmentation)]);
  return Promise.resolve(Float32Array.from(pixels.flat()));
});

it.each(augmentationCases)('$name: the inverse matrix is torchvision’s', ({ augmentation, matrix }) => {
  augmentation.matrix.forEach((value, i) => expect(value).toBeCloseTo(matrix[i]!, 10));
});
