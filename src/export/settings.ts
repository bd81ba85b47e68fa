import { certificateSettings } from '../parity/settings.ts';
import { z } from '../zod.ts';

/** `output` in configs/base.yaml. */
export const outputSettings = z.strictObject({
  dir: z.string().min(1),
  keep_checkpoints: z.int().min(1).nullable(),
  models_dir: z.string().min(1),
  ios_dir: z.string().min(1),
  model_name: z
    .string()
    .regex(/^[A-Za-z][\w-]*$/, 'a letter, then letters, digits, _ or -: it becomes a file name and a Swift class'),
  precision: z.enum(['auto', 'float16', 'float32']),
  weights: z.enum(['full', 'palettized', 'linear']),
  maker_output: z.boolean(),
  certificate: certificateSettings,
  version: z.string().regex(/^\d+\.\d+\.\d+$/, 'three numbers, as in 1.0.0'),
  author: z.string(),
  description: z.string(),
  intended_use: z.string(),
});
export type OutputSettings = z.infer<typeof outputSettings>;

/** What runs exported by that were stored before these settings came. */
export const outputBefore: Pick<OutputSettings, 'weights' | 'maker_output' | 'certificate'> = {
  weights: 'full',
  maker_output: false,
  certificate: {
    images_per_class: 2,
    max_images: 32,
    max_difference: { float32: 1e-5, float16: 5e-3, eight_bit: 0.05 },
    max_flips: 0,
  },
};
