import { outputBefore } from '../export/settings.ts';
import { z } from '../zod.ts';

const strength = z.number().min(0).max(1);
const range = (low: number, high: number) =>
  z
    .tuple([z.number().min(low).max(high), z.number().min(low).max(high)])
    .refine(([a, b]) => a <= b, 'the smaller number first');

/** `training.augmentation`: torchvision's RandomResizedCrop, RandomHorizontalFlip, RandomAffine and ColorJitter, with their arguments. */
export const augmentationSettings = z.strictObject({
  enabled: z.boolean(),
  /** Share of the image's area. */
  crop_scale: range(0.05, 1),
  /** Width over height. */
  crop_ratio: range(0.5, 2),
  /** ± degrees. */
  degrees: z.number().min(0).max(180),
  /** ± share of the image's side. */
  translate: strength,
  scale: range(0.5, 2),
  /** ± degrees, along x. */
  shear: z.number().min(0).max(60),
  brightness: strength,
  contrast: strength,
  saturation: strength,
  /** Share of images that are mirrored. */
  horizontal_flip: strength,
});
export type AugmentationSettings = z.infer<typeof augmentationSettings>;

/** BatchNorm over fewer images than this learns statistics that are too noisy: a batch is split no further. */
export const MIN_PART = 8;

/** Of a class; and its inverse: float32 holds what a mean over them divides by. */
const LEAST_WEIGHT = 1e-6;

/** `training` in configs/base.yaml. */
export const trainingSettings = z
  .strictObject({
    epochs: z.int().min(1).max(10_000),
    learning_rate: z.number().positive().max(10),
    device: z.enum(['auto', 'cuda', 'webgpu', 'wasm', 'webgl', 'cpu']),
    verbose: z.boolean(),
    tune: z.boolean(),
    layers: z.enum(['all', 'head']),
    precision: z.enum(['float32', 'float16']),
    cached_views: z.int().min(0).max(1000),
    optimizer: z.enum(['adam', 'adamw', 'sgd']),
    weight_decay: z.number().min(0).max(10),
    momentum: z.number().min(0).max(1),
    nesterov: z.boolean(),
    clip_norm: z.number().positive().max(1e6).nullable(),
    label_smoothing: z.number().min(0).lt(1),
    /** By name; a class that isn't named counts 1. Names that the data set doesn't have are refused when a run begins. */
    class_weights: z.union([
      z.literal('balanced'),
      z.record(
        z.string(),
        z
          .number()
          .min(LEAST_WEIGHT)
          .max(1 / LEAST_WEIGHT),
      ),
      z.null(),
    ]),
    seed: z
      .int()
      .min(0)
      .max(2 ** 32 - 1),
    batchnorm_momentum: z.number().gt(0).max(1).nullable(),
    batchnorm_batch: z.int().min(2).max(1024).nullable(),
    augmentation: augmentationSettings,
  })
  .refine(({ optimizer, nesterov, momentum }) => !(optimizer === 'sgd' && nesterov && momentum === 0), {
    path: ['nesterov'],
    message: 'training.nesterov needs a momentum: set training.momentum above 0, or training.nesterov to false.',
    // Each value is allowed by itself: the message is the whole sentence.
    params: { whole: true },
  });
export type TrainingSettings = z.infer<typeof trainingSettings>;

/** How many augmentations of each image the head learns from by itself; 0: every step goes through the whole network. */
export function cachedViews(
  training: Pick<TrainingSettings, 'layers' | 'cached_views'> & {
    readonly augmentation: { readonly enabled: boolean };
  },
): number {
  if (training.layers === 'all') return 0;
  // Unvaried, all views are one.
  return training.augmentation.enabled ? training.cached_views : Math.min(1, training.cached_views);
}

/** What runs did that were stored before these settings came. */
const before = {
  tune: false,
  weight_decay: 0,
  momentum: 0.9,
  nesterov: false,
  clip_norm: null,
  cached_views: 0,
  label_smoothing: 0,
  class_weights: null,
  precision: 'float32' as const,
};
const augmentationBefore = { horizontal_flip: 0 };

/** A stored configuration, not checked yet, with the settings that it lacks: as what its run did without them. */
export function withLaterSettings<
  C extends { readonly training?: Partial<TrainingSettings>; readonly output?: object },
>(stored: C): C {
  const { training, output } = stored;
  const augmentation = lacking({ ...training?.augmentation }, augmentationBefore);
  return {
    ...stored,
    training: lacking({ ...training, augmentation }, before),
    ...(output && { output: lacking(output, outputBefore) }),
  };
}

/** What is there keeps its place, so that a whole configuration is written as it was read. */
function lacking(given: object, later: object): object {
  return { ...given, ...Object.fromEntries(Object.entries(later).filter(([name]) => !(name in given))) };
}
