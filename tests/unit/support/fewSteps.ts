import { mkdirSync, writeFileSync } from 'node:fs';
import { dirname, join } from 'node:path';
import { drawSample } from '../../../src/dataset/sample/drawSample.ts';

/** A run that takes seconds on any device: 6 classes of tiny images, a few steps. */
export const fewSteps = {
  'data.sample.classes': 6,
  'data.sample.train_per_class': 6,
  'data.sample.test_per_class': 2,
  'data.sample.size': 64,
  'data.img_size': 32,
  'data.batch_size': 8,
  'training.epochs': 1,
} as const;

/** The images of such a run as files: `folder/Train/…`, `folder/Test/…`. */
export function writeFewImages(folder: string): void {
  for (const { path, png } of drawSample({ seed: 3, classes: 6, train_per_class: 6, test_per_class: 2, size: 64 })) {
    mkdirSync(dirname(join(folder, path)), { recursive: true });
    writeFileSync(join(folder, path), png);
  }
}
