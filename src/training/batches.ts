import type { ImageEntry, ImageSource } from '../dataset/types.ts';
import { exp, log } from '../elementary.ts';
import { normalisedBatch } from '../evaluation/pixels.ts';
import type { ChannelStatistics } from '../engine/normalise.ts';
import type { LabelledBatch, TrainingBatch } from '../engine/types.ts';
import { random, STREAMS } from '../random.ts';
import { augmentationDraw, drawAugmentation } from './augmentation.ts';
import type { AugmentationSettings } from './settings.ts';

export interface BatchSettings extends ChannelStatistics {
  readonly seed: number;
  readonly batchSize: number;
  /** Side of the network's input, pixels. */
  readonly size: number;
  readonly augmentation: AugmentationSettings;
}

/** The images of one epoch in the order in which they are seen: a shuffle that (seed, epoch) alone decide. */
export function epochOrder(indices: readonly number[], seed: number, epoch: number): number[] {
  return random(seed, STREAMS.order, epoch).shuffle([...indices]);
}

/**
 * Where each batch of an epoch begins and ends. The last, smaller batch is trained on too, unless it has one image: BatchNorm
 * over one image knows no variance of the batch (torch refuses it), and its statistics would be that image's own.
 */
export function batchRanges(n: number, batchSize: number): [number, number][] {
  const ranges: [number, number][] = [];
  for (let from = 0; from < n; from += batchSize) {
    const to = Math.min(n, from + batchSize);
    if (to - from > 1 || batchSize === 1) ranges.push([from, to]);
  }
  return ranges;
}

/**
 * The batches of one epoch. The next one is read while the network works on this one. Augmentation is drawn per (seed, epoch, image),
 * so it depends neither on the order nor on where a run was resumed; the engine carries it out. Without it `source` gives what evaluation
 * sees.
 */
export async function* trainingBatches(
  source: ImageSource,
  images: readonly ImageEntry[],
  indices: readonly number[],
  epoch: number,
  settings: BatchSettings,
): AsyncGenerator<TrainingBatch> {
  const order = epochOrder(indices, settings.seed, epoch);
  const ranges = batchRanges(order.length, settings.batchSize);
  const make = async (range: [number, number] | undefined): Promise<TrainingBatch | null> =>
    range === undefined ? null : batchOf(order.slice(...range), { source, images, epoch, settings });
  let next = make(ranges[0]);
  for (let i = 1; ; i++) {
    const batch = await next;
    if (batch === null) return;
    next = make(ranges[i]);
    // A consumer that stops here never asks for it; its failure is then nobody's.
    next.catch(() => undefined);
    yield batch;
  }
}

/** `some` images with the augmentation of `epoch`, or as `source` gives them where there is none. `between`: as of `ImageSource`. */
export async function batchOf(
  some: readonly number[],
  from: {
    readonly source: ImageSource;
    readonly images: readonly ImageEntry[];
    readonly epoch: number;
    readonly settings: Omit<BatchSettings, 'batchSize'>;
    readonly between?: () => Promise<void>;
  },
): Promise<TrainingBatch> {
  const read = await from.source.read(some, from.between);
  const labels = Int32Array.from(some, (index) => (from.images[index] as ImageEntry).label);
  const { seed, size, mean, std, augmentation } = from.settings;
  if (!augmentation.enabled) return { ...normalisedBatch(read, size, from.settings), labels };
  const pictures = read.map((image, i) => {
    const draw = augmentationDraw(seed, from.epoch, some[i] as number);
    return [image, drawAugmentation(image, size, augmentation, draw)] as const;
  });
  return { pictures, labels, n: some.length, size, mean, std };
}

/**
 * A batch as micro-batches of at most `partSize` images and as equal as can be, in the order of the batch; views, no copies.
 */
export function splitBatch(batch: LabelledBatch, partSize: number): LabelledBatch[];
export function splitBatch(batch: TrainingBatch, partSize: number): TrainingBatch[];
export function splitBatch(batch: TrainingBatch, partSize: number): TrainingBatch[] {
  const count = Math.ceil(batch.n / partSize);
  const pixels = batch.size * batch.size * 3;
  return Array.from({ length: count }, (_, part) => {
    const from = Math.floor((part * batch.n) / count);
    const to = Math.floor(((part + 1) * batch.n) / count);
    const labels = batch.labels.subarray(from, to);
    return 'pictures' in batch
      ? { ...batch, pictures: batch.pictures.slice(from, to), labels, n: to - from }
      : { ...batch, images: batch.images.subarray(from * pixels, to * pixels), labels, n: to - from };
  });
}

/**
 * Momentum for k micro-batches a step, so that running statistics forget as fast as with one whole batch:
 * 1 − (1 − m)^(1/k).
 */
export function partMomentum(momentum: number, batchSize: number, partSize: number): number {
  const parts = Math.ceil(batchSize / partSize);
  return parts <= 1 ? momentum : 1 - exp(log(1 - momentum) / parts);
}
