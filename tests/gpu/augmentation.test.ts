import * as tf from '@tensorflow/tfjs';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { augmentInto } from '../../src/engine/augmentation.ts';
import type { Pictures } from '../../src/engine/augmentationUpload.ts';
import { augmentedInput } from '../../src/engine/reference/augmentedInput.ts';
import type { AugmentedBatch, Engine, Network } from '../../src/engine/types.ts';
import { splitBatch } from '../../src/training/batches.ts';
import { augmentationSuite } from '../unit/support/augmentationSuite.ts';
import { drawnPictures } from '../unit/support/drawnPictures.ts';
import { distance, options, stepsGraph } from '../unit/support/engineSuites.ts';
import { formulaWeights } from '../unit/support/formulaWeights.ts';
import { judged } from '../unit/support/judged.ts';
import { openInNode } from '../unit/support/openInNode.ts';

let engine: Engine;
let network: Network;
beforeAll(async () => {
  engine = await openInNode('webgpu');
  network = await engine.build(stepsGraph, formulaWeights(stepsGraph), options);
});
afterAll(() => engine.dispose());

const command = 'npm test -- gpu/augmentation';
const imagenet = { mean: [0.485, 0.456, 0.406], std: [0.229, 0.224, 0.225] };

function batchOf(pictures: Pictures, size: number, statistics = imagenet): AugmentedBatch {
  return { pictures, n: pictures.length, size, labels: new Int32Array(pictures.length), ...statistics };
}

async function onDevice(batch: AugmentedBatch, upload?: number): Promise<Float32Array> {
  const onProcessor = () => Promise.reject(new Error('The processor has made an image.'));
  const tensor = await augmentedInput(batch, onProcessor, upload);
  const values = (await tensor.data()) as Float32Array;
  tensor.dispose();
  // A dispatch that failed yields zeros, and is noticed here: predictions are watched over.
  await network.predict({ images: new Float32Array(8 * 8 * 3), n: 1, size: 8 });
  return values;
}

augmentationSuite('webgpu', command, 2e-5, (cases, size) => {
  const pictures = cases.map(({ source, augmentation }) => [source, augmentation] as const);
  // (x / 255 − 0) / (1 / 255) is x.
  return onDevice(batchOf(pictures, size, { mean: [0, 0, 0], std: [1 / 255, 1 / 255, 1 / 255] }));
});

function onProcessor(pictures: Pictures, size: number): Float32Array {
  const each = size * size * 3;
  const pixels = new Float32Array(pictures.length * each);
  pictures.forEach(([picture, how], i) => augmentInto(pixels, i * each, picture, size, how, imagenet));
  return pixels;
}

describe('the kernel makes what the processor makes', () => {
  it.each([
    [33, 40, 130],
    [1, 9, 60],
    [8, 65, 400],
  ])('%i pictures to %i px', async (count, size, widest) => {
    const pictures = drawnPictures(7, count, size, widest);
    const expected = onProcessor(pictures, size);
    const found = await onDevice(batchOf(pictures, size));
    judged({
      quantity: `${count} augmented images of ${size} px, normalised, against the processor’s`,
      network: '—',
      on: 'webgpu',
      error: distance(found, expected),
      tolerance: 1e-4,
      command,
    });
  });

  it('in several uploads as in one, to the bit', async () => {
    const batch = batchOf(drawnPictures(8, 9, 11, 50), 11);
    const whole = await onDevice(batch);
    expect(distance(whole, await onDevice(batch, 6000))).toBe(0);
    // An image that is larger than an upload goes alone.
    expect(distance(whole, await onDevice(batch, 1))).toBe(0);
  });
});

describe('a step', () => {
  const labels = Int32Array.of(0, 1, 2, 3, 4, 0);

  it('on pictures has the loss of a step on what the processor makes of them, whole and in parts', async () => {
    const pictures = drawnPictures(9, 6, 8, 30);
    const batch = { ...batchOf(pictures, 8), labels };
    const plain = { images: onProcessor(pictures, 8), n: 6, size: 8, labels };
    for (const partSize of [6, 4]) {
      const losses: number[] = [];
      for (const parts of [splitBatch(batch, partSize), splitBatch(plain, partSize)]) {
        const fresh = await engine.build(stepsGraph, formulaWeights(stepsGraph), options);
        for (let step = 0; step < 2; step++) losses.push((await fresh.trainStep(parts, 0.01)).loss);
        fresh.dispose();
      }
      expect(Math.abs(losses[0]! - losses[2]!)).toBeLessThan(1e-5);
      expect(Math.abs(losses[1]! - losses[3]!)).toBeLessThan(1e-4);
    }
  });

  it('leaves nothing behind, and its buffers serve the next, whose crops have other sizes', async () => {
    const held: { tensors: number; used: number; allocated: number }[] = [];
    for (let step = 0; step < 8; step++) {
      await network.trainStep([{ ...batchOf(drawnPictures(10 + step, 6, 8, 30), 8), labels }], 0.01);
      const memory = tf.memory() as unknown as Record<
        'numTensors' | 'numBytesInGPU' | 'numBytesAllocatedInGPU',
        number
      >;
      held.push({
        tensors: memory.numTensors,
        used: memory.numBytesInGPU,
        allocated: memory.numBytesAllocatedInGPU,
      });
    }
    expect(held[7]).toEqual(held[5]);
  });
});
