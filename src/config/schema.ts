import { z } from '../zod.ts';
import { modelSettings } from '../architectures/settings.ts';
import { dataSettings } from '../dataset/settings.ts';
import { outputSettings } from '../export/settings.ts';
import { trainingSettings } from '../training/settings.ts';

/** Assembled from each room's settings; has no defaults: every one of them is written in configs/base.yaml. */
export const configSchema = z.strictObject({
  data: dataSettings,
  model: modelSettings,
  training: trainingSettings,
  output: outputSettings,
});
export type Config = z.infer<typeof configSchema>;
