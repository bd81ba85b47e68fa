import { WORDS, type Upload } from '../augmentationUpload.ts';
import type { ChannelStatistics } from '../normalise.ts';
import type { Matrix, Memory } from './memory.ts';

/**
 * A batch of pictures on its way into a network's padded input: before a step the processor writes `parameters` and as many of `pixels` as
 * the batch needs (`describeUploads`, `copyCrops`, `boundsOf`), then the dispatches for so many run.
 */
export interface AugmentedInput extends ChannelStatistics {
  readonly images: number;
  /** Height and width of the output. */
  readonly size: number;
  /** `parameterWords` bit patterns: images' parameters, then the bounds of the uploads. */
  readonly parameters: Memory;
  /** An upload each, bit patterns, as large as the caller likes. */
  readonly pixels: readonly Memory[];
  /** `[images · size², 4]`, resized crops; free after this. */
  readonly reduced: Memory;
  /** One float an image; free after this. */
  readonly means: Memory;
  /** `[images · size², 4]`, normalised; the fourth channel is 0. */
  readonly out: Matrix;
}

/** Words of `parameters` for so many images and as many uploads. */
export function parameterWords(images: number): number {
  return Math.ceil((images * WORDS + images + 1) / 4) * 4;
}

/** What belongs behind the images' parameters: the first image of each upload, then n. */
export function boundsOf(parts: readonly Upload[]): Int32Array {
  return Int32Array.from([0, ...parts.map(({ end }) => end)]);
}

/** Ready images, `[pixels, channels]` without padding, on their way into a padded input. */
export interface WidenedInput {
  readonly images: Memory;
  readonly channels: number;
  readonly out: Matrix;
}
