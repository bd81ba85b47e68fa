import * as tf from '@tensorflow/tfjs';
import { augmentInto, fixedAffine, type Augmentation, type Picture } from '../augmentation.ts';
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

/** Words of `parameters` an image. */
export const WORDS = 16;
export const WORD = {
  /** Word of its `pixels…` with which it begins. */
  begin: 0,
  width: 1,
  height: 2,
  flip: 3,
  /** Six whole numbers (`fixedAffine`). */
  matrix: 4,
  /** A kind and a factor (float) each. */
  steps: 10,
} as const;
export const MOST_STEPS = (WORDS - WORD.steps) / 2;
/** 0: no step. */
export const STEP_KIND = { brightness: 1, contrast: 2, saturation: 3 } as const;

/** Bytes of one `pixels…`, except that a single image may have more: half of what every adapter can bind. */
const UPLOAD = 2 ** 26;

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
  const parameters = new Int32Array(n * WORDS);
  const floats = new Float32Array(parameters.buffer);
  const uploads: tf.Tensor[] = [];
  const bounds = [0];
  for (let first = 0; first < n; first = bounds.at(-1)!) {
    let end = first;
    let words = 0;
    for (; end < n; end++) {
      const [, augmentation] = pictures[end]!;
      const more = wordsOf(augmentation);
      if (end > first && (words + more) * 4 > upload) break;
      describe(augmentation, words, end * WORDS, parameters, floats);
      words += more;
    }
    const pixels = new Int32Array(fewSizes(words));
    for (let i = first; i < end; i++) copyCrop(pictures[i]!, pixels, parameters[i * WORDS + WORD.begin]!);
    uploads.push(tf.tensor1d(pixels, 'int32'));
    bounds.push(end);
  }
  const attributes: AugmentAttributes = { n, size, bounds, mean, std };
  const named = Object.fromEntries(uploads.map((tensor, i) => [`pixels${i}`, tensor]));
  return run(AUGMENT, { parameters: tf.tensor1d(parameters, 'int32'), ...named }, attributes);
}

function wordsOf({ crop: { width, height } }: Augmentation): number {
  return Math.ceil((width * height * 3) / 4);
}

/** Writes an image's parameters at `at`. */
function describe(
  { crop, flip, matrix, jitter }: Augmentation,
  begin: number,
  at: number,
  words: Int32Array,
  floats: Float32Array,
): void {
  const contrasts = jitter.filter(([kind]) => kind === 'contrast').length;
  if (jitter.length > MOST_STEPS || contrasts > 1) throw new Error('The kernel has each colour step once.');
  words[at + WORD.begin] = begin;
  words[at + WORD.width] = crop.width;
  words[at + WORD.height] = crop.height;
  words[at + WORD.flip] = flip ? 1 : 0;
  words.set(fixedAffine(matrix), at + WORD.matrix);
  jitter.forEach(([kind, factor], i) => {
    words[at + WORD.steps + 2 * i] = STEP_KIND[kind];
    floats[at + WORD.steps + 2 * i + 1] = factor;
  });
}

function copyCrop(
  [{ width, data }, { crop }]: readonly [Picture, Augmentation],
  words: Int32Array,
  begin: number,
): void {
  // WebGPU is little-endian, and so is every machine that has it.
  const bytes = new Uint8Array(words.buffer, begin * 4);
  for (let y = 0; y < crop.height; y++) {
    const from = ((crop.top + y) * width + crop.left) * 3;
    bytes.set(data.subarray(from, from + crop.width * 3), y * crop.width * 3);
  }
}

/** tfjs keeps freed buffers by their exact size, for ever: an eighth too large at most, there are eight sizes in each octave. */
function fewSizes(words: number): number {
  const step = 2 ** Math.max(4, 28 - Math.clz32(words));
  return Math.ceil(words / step) * step;
}
