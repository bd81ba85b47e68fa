/**
 * What augmentation costs: the processor's time an image, and on WebGPU bytes uploaded and dispatches a step, with pictures that the engine
 * augments and with floats that the processor has made, as it was before.
 *
 *     npm run bench -- augmentation [--batch 32]
 *
 * Bytes and dispatches don't depend on the machine; where there is no adapter they are left out.
 */
import { parseArgs } from 'node:util';
import * as tf from '@tensorflow/tfjs';
import { architectures, buildGraph } from '../../src/architectures/index.ts';
import { initialWeights } from '../../src/architectures/initialise.ts';
import { augmentedPixels, augmentInto, type Picture } from '../../src/engine/augmentation.ts';
import { openEngine } from '../../src/engine/device.ts';
import { augmentedInput } from '../../src/engine/reference/augmentedInput.ts';
import type { AugmentedBatch, LabelledBatch, TrainingBatch } from '../../src/engine/types.ts';
import { nodeEngineEnvironment } from '../../src/platform/node/engineEnvironment.ts';
import { cacheShortSide } from '../../src/dataset/geometry.ts';
import { augmentationDraw, drawAugmentation } from '../../src/training/augmentation.ts';
import { after, afterDispatches } from '../gpu/compiled/support/deviceCounters.ts';
import { configOf } from '../verify/headless/trainer.ts';

const { values: options } = parseArgs({ options: { batch: { type: 'string', default: '32' } } });
const n = Number(options.batch);
const { augmentation } = configOf([], {}).training;

/** As the cache holds them, with the augmentation that epoch 1 draws by default. */
function batchOf(size: number): AugmentedBatch {
  const side = cacheShortSide(size);
  const pictures = Array.from({ length: n }, (_, i) => {
    const data = Uint8Array.from({ length: side * side * 3 }, (_, at) => ((at + i) * (at + i) * 2654435761) >>> 13);
    const picture: Picture = { width: side, height: side, data };
    return [picture, drawAugmentation(picture, size, augmentation, augmentationDraw(42, 1, i))] as const;
  });
  const labels = Int32Array.from({ length: n }, (_, i) => i % 5);
  return { pictures, n, size, labels, ...architectures.tiny };
}

function asFloats({ pictures, labels, size, ...statistics }: AugmentedBatch): LabelledBatch {
  const each = size * size * 3;
  const images = new Float32Array(n * each);
  pictures.forEach(([picture, how], i) => augmentInto(images, i * each, picture, size, how, statistics));
  return { images, labels, n, size };
}

console.log('processor, ms an image, the quickest of 160:');
for (const size of [64, 128, 224]) {
  const { pictures } = batchOf(size);
  const times = Array.from({ length: 5 }, () => pictures)
    .flat()
    .map(([picture, how]) => {
      const begun = performance.now();
      augmentedPixels(picture, size, how);
      return performance.now() - begun;
    });
  console.log(`  ${cacheShortSide(size)} → ${size} px: ${Math.min(...times).toFixed(2)}`);
}

const environment = await nodeEngineEnvironment({ gpu: true });
if ((await environment.gpu?.requestAdapter()) === null || environment.gpu === undefined) process.exit(0);
const engine = await openEngine('webgpu', environment);
const counted = counters();
const graph = buildGraph('tiny', 5);
console.log(`\n${engine.adapter.label}, batch ${n}, tiny:`);
for (const size of [64, 224]) {
  const pictures = batchOf(size);
  const floats = asFloats(pictures);
  const handOver: number[] = [];
  for (let i = 0; i < 10; i++) {
    const begun = performance.now();
    const tensor = await augmentedInput(pictures, () => Promise.resolve());
    handOver.push((performance.now() - begun) / n);
    await tensor.data();
    tensor.dispose();
  }
  console.log(
    `  ${size} px, pictures: ${Math.min(...handOver).toFixed(3)} ms of the thread an image until handed over, the quickest of 10 batches`,
  );
  for (const [name, batch] of [
    ['floats', floats],
    ['pictures', pictures],
  ] as [string, TrainingBatch][]) {
    const network = await engine.build(graph, initialWeights(graph, architectures.tiny, 5), {
      trainable: 'all',
      optimiser: { kind: 'adam', beta1: 0.9, beta2: 0.999, epsilon: 1e-8, weightDecay: 0 },
      clipNorm: null,
      batchNormMomentum: null,
      seed: 1,
    });
    await network.trainStep([batch], 1e-3);
    const before = { ...counted };
    await network.trainStep([batch], 1e-3);
    const [bytes, dispatches] = [counted.bytes - before.bytes, counted.dispatches - before.dispatches];
    console.log(
      `  ${size} px, ${name.padEnd(8)}: ${(bytes / 1e6).toFixed(2)} MB uploaded, ${dispatches} dispatches a step`,
    );
    network.dispose();
  }
}
await engine.dispose();
process.exit(0);

/** Counts what goes to tfjs's device from now on. */
function counters(): { bytes: number; dispatches: number } {
  const counts = { bytes: 0, dispatches: 0 };
  const { device } = tf.backend() as unknown as { device: GPUDevice };
  after(device, 'createBuffer', (_, { size, mappedAtCreation }) => {
    if (mappedAtCreation === true) counts.bytes += size;
  });
  after(device.queue, 'writeBuffer', (_, _buffer, _offset, data, _from, size) => {
    counts.bytes += size ?? data.byteLength;
  });
  afterDispatches(device, () => void counts.dispatches++);
  return counts;
}
