import { GENERATOR, STREAMS } from '../random.ts';
import { AUGMENTATION_FORM } from './augmentation.ts';
import { epochOrder } from './batches.ts';
import { OtherDrawsError } from './errors.ts';
import type { Checkpoint, RunConfig } from './types.ts';

/**
 * What a run that has made `step` updates draws after `epoch`. The generator is counter-based: its state is the seeds, the streams and
 * the counters, and no word more. `images`: those that are trained on, indices into the data set.
 */
export function drawsAfter(
  { training, data }: RunConfig,
  epoch: number,
  step: number,
  images: readonly number[],
): Required<Pick<Checkpoint, 'random' | 'order'>> {
  return {
    random: {
      generator: GENERATOR,
      seeds: { training: training.seed, split: data.seed },
      streams: STREAMS,
      augmentation: AUGMENTATION_FORM,
      next: { epoch: epoch + 1, step },
    },
    order: epochOrder(images, training.seed, epoch + 1),
  };
}

/**
 * Throws `OtherDrawsError` where a run that goes on from the checkpoint would draw other numbers, or see other images, than the run
 * that wrote it. A checkpoint of an earlier page says nothing of it: its numbers and order were drawn as this version draws. How a draw is
 * made into pixels is no reason to refuse: see `otherPixels`.
 */
export function refuseOtherDraws(
  checkpoint: Pick<Checkpoint, 'epoch' | 'optimiser' | 'random' | 'order'>,
  config: RunConfig,
  images: readonly number[],
): void {
  const { epoch, optimiser, random, order } = checkpoint;
  if (random === undefined || order === undefined) return;
  const ours = drawsAfter(config, epoch, optimiser.step, images);
  if (random.generator !== ours.random.generator)
    throw new OtherDrawsError(
      `its random numbers come from ${random.generator}, those of this version from ${ours.random.generator}`,
    );
  const stream = Object.entries(ours.random.streams).find(([name, first]) => random.streams[name] !== first)?.[0];
  if (stream !== undefined) throw new OtherDrawsError(`this version draws ${stream} from another stream`);
  for (const name of ['training', 'split'] as const) {
    const [theirs, own] = [random.seeds[name], ours.random.seeds[name]];
    if (theirs !== own)
      throw new OtherDrawsError(`its checkpoint has the ${name} seed ${theirs}, its configuration ${own}`);
  }
  if (random.next.epoch !== epoch + 1 || random.next.step !== optimiser.step)
    throw new OtherDrawsError('the counters of its random numbers are not those of its last epoch');
  const known = new Set(images);
  if (order.length !== images.length || new Set(order).size !== order.length || !order.every((i) => known.has(i)))
    throw new OtherDrawsError(
      `its checkpoint names ${order.length} images to train on next, which are not the ${images.length} of the data set's split`,
    );
  if (order.some((index, i) => index !== ours.order[i]))
    throw new OtherDrawsError(
      `the order of its next epoch's images is not the one that seed ${config.training.seed} gives`,
    );
}

/** What the user is told of a run whose images were varied in another way up to here; null where they were not, or none are to come. */
export function otherPixels(
  { epoch, random }: Pick<Checkpoint, 'epoch' | 'random'>,
  { training }: RunConfig,
): string | null {
  if (!training.augmentation.enabled || epoch >= training.epochs || random?.augmentation === AUGMENTATION_FORM)
    return null;
  return 'Images are varied in a slightly different way since this run began: its curve may bend here.';
}
