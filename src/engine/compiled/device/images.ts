import { padded } from '../memory.ts';
import type { ImageBatch, TrainingBatch } from '../../types.ts';
import { augmentInto } from '../../augmentation.ts';
import type { Plan } from '../plan/compile.ts';
import type { Buffers } from './buffers.ts';
import type { Command } from './commands.ts';
import type { Pipelines } from './pipelines.ts';

/** Brings batches to where a plan reads them. */
export interface Images {
  /** Uploads; gives the commands that make the plan's input of it. */
  upload(batch: ImageBatch | TrainingBatch, plan: Plan): Promise<readonly Command[]>;
  dispose(): void;
}

export function createImages(device: GPUDevice, _pipelines: Pipelines, buffers: Buffers): Images {
  return {
    async upload(batch, plan) {
      const { n, size } = batch;
      const { input, arena } = plan;
      const { buffer, offset } = buffers.placeIn(arena)(input);
      let images: Float32Array;
      if ('pictures' in batch) {
        images = new Float32Array(n * size * size * 3);
        batch.pictures.forEach(([picture, how], i) =>
          augmentInto(images, i * size * size * 3, picture, size, how, batch),
        );
      } else images = batch.images;
      const channels = images.length / (n * size * size);
      if (!Number.isInteger(channels) || padded(channels) !== input.channels) {
        throw new Error(`${images.length} numbers are no batch [${n},${size},${size},C].`);
      }
      const wide = new Float32Array(input.floats);
      for (let i = 0, o = 0; i < images.length; i += channels, o += input.channels) {
        for (let c = 0; c < channels; c++) wide[o + c] = images[i + c]!;
      }
      device.queue.writeBuffer(buffer, offset, wide);
      return [];
    },
    dispose() {},
  };
}
