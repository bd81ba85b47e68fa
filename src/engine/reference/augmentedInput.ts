import * as tf from '@tensorflow/tfjs';
import { augmentInto } from '../augmentation.ts';
import type { AugmentedBatch } from '../types.ts';

/** The batch on the device, `[n, size, size, 3]`, normalised; the processor makes it. `afterEach` is awaited after each image. */
export async function augmentedInput(batch: AugmentedBatch, afterEach: () => Promise<void>): Promise<tf.Tensor> {
  const { pictures, n, size } = batch;
  const images = new Float32Array(n * size * size * 3);
  for (const [i, [picture, augmentation]] of pictures.entries()) {
    augmentInto(images, i * size * size * 3, picture, size, augmentation, batch);
    await afterEach();
  }
  return tf.tensor4d(images, [n, size, size, 3]);
}
