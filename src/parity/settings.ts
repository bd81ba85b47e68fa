import { z } from '../zod.ts';

const difference = z.number().positive().max(1);

/** `output.certificate` in configs/base.yaml. */
export const certificateSettings = z.strictObject({
  images_per_class: z.int().min(1),
  max_images: z.int().min(1),
  max_difference: z.strictObject({ float32: difference, float16: difference, eight_bit: difference }),
  max_flips: z.int().min(0),
});
export type CertificateSettings = z.infer<typeof certificateSettings>;
