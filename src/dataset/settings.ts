import { z } from '../zod.ts';

/** Half-open ranges are written out in the message of a failed check, so that the page can say what is allowed. */
const share = z.number().min(0).max(0.5);

/** `data.sample` in configs/base.yaml: the procedural data set. */
export const sampleSettings = z.strictObject({
  seed: z
    .int()
    .min(0)
    .max(2 ** 32 - 1),
  classes: z.int().min(6).max(10),
  train_per_class: z.int().min(4).max(1000),
  test_per_class: z.int().min(1).max(1000),
  /** Side of the square images, pixels. */
  size: z.int().min(64).max(512),
});
export type SampleSettings = z.infer<typeof sampleSettings>;

/** `data` in configs/base.yaml. */
export const dataSettings = z.strictObject({
  source: z.enum(['files', 'sample']),
  kaggle_dataset: z.string().regex(/^[\w-]+\/[\w-]+$/, 'owner/name, as in the data set’s address on Kaggle'),
  raw_dir: z.string().min(1),
  train_dir: z.string().min(1),
  test_dir: z.string().min(1),
  batch_size: z.int().min(1).max(1024),
  img_size: z.int().min(32).max(512),
  num_workers: z.int().min(1).max(16),
  geometry: z.enum(['center_crop', 'squash']),
  validation_split: share,
  test_split: share,
  seed: z
    .int()
    .min(0)
    .max(2 ** 32 - 1),
  sample: sampleSettings,
});
export type DataSettings = z.infer<typeof dataSettings>;
