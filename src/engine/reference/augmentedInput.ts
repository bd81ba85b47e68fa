import * as tf from '@tensorflow/tfjs';
import { augmentInto } from '../augmentation.ts';
import { copyCrops, describeUploads, UPLOAD } from '../augmentationUpload.ts';
import type { ChannelStatistics } from '../normalise.ts';
import type { AugmentedBatch } from '../types.ts';
import { hasKernel, run } from './ops/kernel.ts';

/**
 * A kernel that a backend may bring: `{parameters, pixels0, pixels1, …}`, int32 tensors of bit patterns, → `[n, size, size, 3]`. `pixels…`
 * hold what is inside each crop box, row by row, three bytes a pixel; each image begins with a word.
 */
export const AUGMENT = 'PacerAugment';
export interface AugmentAttributes extends ChannelStatistics {
  readonly n: number;
  readonly size: number;
  /** First image of each `pixels…`, then n. */
  readonly bounds: readonly number[];
}

/**
 * The batch on the device, `[n, size, size, 3]`, normalised. `afterEach` is awaited after each image that the processor has made;
 * `upload`: bytes of one upload.
 */
export async function augmentedInput(
  batch: AugmentedBatch,
  afterEach: () => Promise<void>,
  upload = UPLOAD,
): Promise<tf.Tensor> {
  const { pictures, n, size } = batch;
  if (hasKernel(AUGMENT)) return tf.tidy(() => onDevice(batch, upload));
  const images = new Float32Array(n * size * size * 3);
  for (const [i, [picture, augmentation]] of pictures.entries()) {
    augmentInto(images, i * size * size * 3, picture, size, augmentation, batch);
    await afterEach();
  }
  return tf.tensor4d(images, [n, size, size, 3]);
}

function onDevice({ pictures, n, size, mean, std }: AugmentedBatch, upload: number): tf.Tensor {
  const { parameters, parts } = describeUploads(pictures, upload);
  const uploads = parts.map(({ first, end, words }) => {
    const pixels = new Int32Array(fewSizes(words));
    copyCrops(pictures, first, end, parameters, pixels);
    return tf.tensor1d(pixels, 'int32');
  });
  const bounds = [...parts.map(({ first }) => first), n];
  const attributes: AugmentAttributes = { n, size, bounds, mean, std };
  const named = Object.fromEntries(uploads.map((tensor, i) => [`pixels${i}`, tensor]));
  return run(AUGMENT, { parameters: tf.tensor1d(parameters, 'int32'), ...named }, attributes);
}

/** tfjs keeps freed buffers by their exact size, for ever: an eighth too large at most, there are eight sizes in each octave. */
function fewSizes(words: number): number {
  const step = 2 ** Math.max(4, 28 - Math.clz32(words));
  return Math.ceil(words / step) * step;
}
