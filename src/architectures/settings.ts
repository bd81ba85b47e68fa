import { z } from '../zod.ts';

export const architectureNames = ['densenet121', 'resnet50', 'mobilenet_v3_small', 'tiny'] as const;
export type ArchitectureName = (typeof architectureNames)[number];

/** `model` in configs/base.yaml. */
export const modelSettings = z.strictObject({
  architecture: z.enum(architectureNames),
  pretrained: z.boolean(),
});
export type ModelSettings = z.infer<typeof modelSettings>;
