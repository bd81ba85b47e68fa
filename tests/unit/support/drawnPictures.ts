import type { Pictures } from '../../../src/engine/augmentationUpload.ts';
import { random } from '../../../src/random.ts';
import { drawAugmentation } from '../../../src/training/augmentation.ts';

/** Noise of odd sizes: some narrower than the output, some many times as wide. */
export function drawnPictures(seed: number, count: number, size: number, widest: number): Pictures {
  return Array.from({ length: count }, (_, i) => {
    const draw = random(seed, i);
    const [width, height] = [5 + draw.integer(widest), 5 + draw.integer(widest)];
    const data = Uint8Array.from({ length: width * height * 3 }, (_, at) => (at * at * 2654435761) >>> 13);
    const settings = {
      enabled: true,
      crop_scale: [0.2, 1],
      crop_ratio: [0.5, 2],
      degrees: 180,
      translate: 0.2,
      scale: [0.5, 2],
      shear: 30,
      brightness: i % 3 === 0 ? 0 : 0.8,
      contrast: i % 4 === 0 ? 0 : 0.8,
      saturation: i % 5 === 0 ? 0 : 0.8,
      horizontal_flip: 0.5,
    } satisfies Parameters<typeof drawAugmentation>[2];
    const picture = { width, height, data };
    return [picture, drawAugmentation(picture, size, settings, draw)] as const;
  });
}
