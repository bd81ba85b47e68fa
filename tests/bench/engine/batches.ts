import { cacheShortSide } from '../../../src/dataset/geometry.ts';
import type { Picture } from '../../../src/engine/augmentation.ts';
import type { LabelledBatch, TrainingBatch } from '../../../src/engine/types.ts';
import { augmentationDraw, drawAugmentation } from '../../../src/training/augmentation.ts';
import { configOf } from '../../verify/headless/trainer.ts';
import { CLASSES, imagesOf } from './nets.ts';

/** An epoch's batches differ in what is cropped, and thereby in how much is uploaded. */
const BATCHES = 4;

const labelsOf = (n: number): Int32Array => Int32Array.from({ length: n }, (_, i) => i % CLASSES);

/** As training hands them over: pictures of bytes, as the cache holds them, each with the augmentation that is drawn by default. */
export function cropsOf(n: number, size: number): TrainingBatch[] {
  const { augmentation } = configOf([], {}).training;
  const side = cacheShortSide(size);
  const pictures = Array.from({ length: n }, (_, i): Picture => {
    const data = Uint8Array.from(
      { length: side * side * 3 },
      (__, at) => Math.imul((at + i) * 31 + i, 0x9e3779b1) >>> 13,
    );
    return { width: side, height: side, data };
  });
  return Array.from({ length: BATCHES }, (_, epoch) => ({
    pictures: pictures.map(
      (picture, i) => [picture, drawAugmentation(picture, size, augmentation, augmentationDraw(42, epoch, i))] as const,
    ),
    labels: labelsOf(n),
    n,
    size,
    mean: [0.5, 0.5, 0.5],
    std: [0.25, 0.25, 0.25],
  }));
}

/** Numbers that are ready, which other engines can be given as well. */
export function floatsOf(n: number, size: number): LabelledBatch {
  return { images: imagesOf(n, size), labels: labelsOf(n), n, size };
}
