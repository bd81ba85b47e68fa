import { z } from '../zod.ts';

const strength = z.number().min(0).max(1);
const range = (low: number, high: number) =>
  z
    .tuple([z.number().min(low).max(high), z.number().min(low).max(high)])
    .refine(([a, b]) => a <= b, 'the smaller number first');

/** `training.augmentation`: torchvision's RandomResizedCrop, RandomAffine and ColorJitter, with their arguments. */
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
});
export type AugmentationSettings = z.infer<typeof augmentationSettings>;

/** BatchNorm over fewer images than this learns statistics that are too noisy: a batch is split no further. */
export const MIN_PART = 8;

/** `training` in configs/base.yaml. */
export const trainingSettings = z.strictObject({
  epochs: z.int().min(1).max(10_000),
  learning_rate: z.number().positive().max(10),
  device: z.enum(['auto', 'cuda', 'webgpu', 'wasm', 'webgl', 'cpu']),
  verbose: z.boolean(),
  layers: z.enum(['all', 'head']),
  optimizer: z.enum(['adam']),
  seed: z
    .int()
    .min(0)
    .max(2 ** 32 - 1),
  batchnorm_momentum: z.number().gt(0).max(1).nullable(),
  batchnorm_batch: z.int().min(2).max(1024).nullable(),
  augmentation: augmentationSettings,
});
export type TrainingSettings = z.infer<typeof trainingSettings>;
