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
  precision: z.enum(['float16', 'float32']),
  version: z.string().regex(/^\d+\.\d+\.\d+$/, 'three numbers, as in 1.0.0'),
  author: z.string(),
  description: z.string(),
  intended_use: z.string(),
});
export type OutputSettings = z.infer<typeof outputSettings>;
