import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { augmentInto } from '../../../src/engine/augmentation.ts';
import { copyCrops, describeUploads, UPLOAD, WORDS, type Pictures } from '../../../src/engine/augmentationUpload.ts';
import { boundsOf, parameterWords } from '../../../src/engine/compiled/augmentedInput.ts';
import { kept, matrix, type Memory } from '../../../src/engine/compiled/memory.ts';
import { augmentedInput, widenedInput } from '../../../src/engine/compiled/wgsl/augmentation.ts';
import type { ChannelStatistics } from '../../../src/engine/normalise.ts';
import type { Engine } from '../../../src/engine/types.ts';
import { splitBatch } from '../../../src/training/batches.ts';
import { augmentationSuite } from '../../unit/support/augmentationSuite.ts';
import { drawnPictures } from '../../unit/support/drawnPictures.ts';
import { distance, options, stepsGraph } from '../../unit/support/engineSuites.ts';
import { formulaWeights } from '../../unit/support/formulaWeights.ts';
import { judged } from '../../unit/support/judged.ts';
import { openInNode } from '../../unit/support/openInNode.ts';
import { openBench, runDispatches, type Bench } from './support/runCalls.ts';

let bench: Bench;
beforeAll(async () => {
  bench = await openBench();
});

const command = 'npm test -- compiled/augmentation';
const imagenet = { mean: [0.485, 0.456, 0.406], std: [0.229, 0.224, 0.225] };
/** (x / 255 − 0) / (1 / 255) is x. */
const levels = { mean: [0, 0, 0], std: [1 / 255, 1 / 255, 1 / 255] };

/** `[images, size, size, 3]`; checks that the fourth channel is 0. */
async function augmented(
  pictures: Pictures,
  size: number,
  statistics: ChannelStatistics,
  upload = UPLOAD,
): Promise<Float32Array> {
  const images = pictures.length;
  const { parameters: words, parts, hasContrast } = describeUploads(pictures, upload);
  const parameters = kept('parameters', parameterWords(images));
  const written = new Int32Array(parameters.floats);
  written.set(words);
  written.set(boundsOf(parts), images * WORDS);
  const contents = new Map<Memory, Float32Array>([[parameters, new Float32Array(written.buffer)]]);
  const pixels = parts.map(({ first, end, words: count }) => {
    // Longer than needed, as a buffer is that has served a larger batch.
    const crops = new Int32Array(count + 5).fill(-1);
    copyCrops(pictures, first, end, words, crops);
    const memory = kept('pixels', crops.length);
    contents.set(memory, new Float32Array(crops.buffer));
    return memory;
  });
  const out = matrix('out', images * size * size, 4);
  const { reduce, turn, meanGrey, finish } = augmentedInput({
    ...statistics,
    images,
    size,
    parameters,
    pixels,
    reduced: matrix('reduced', images * size * size, 4),
    means: kept('means', images),
    out,
  });
  const dispatches = [...reduce, turn, ...(hasContrast ? [meanGrey] : []), finish];
  const [found] = await runDispatches(bench, dispatches, contents, [out]);
  const narrow = new Float32Array(images * size * size * 3);
  for (let i = 0; i < out.rows; i++) {
    narrow.set(found!.subarray(4 * i, 4 * i + 3), 3 * i);
    if (found![4 * i + 3] !== 0) throw new Error(`Pixel ${i} has ${found![4 * i + 3]} in its fourth channel.`);
  }
  return narrow;
}

augmentationSuite('webgpu', command, 2e-5, (cases, size) => {
  const pictures = cases.map(({ source, augmentation }) => [source, augmentation] as const);
  return augmented(pictures, size, levels);
});

describe('pictures become a padded input', () => {
  it('as the processor makes them, normalised, in one upload or several', async () => {
    const [size, count] = [23, 9];
    const pictures = drawnPictures(7, count, size, 90);
    const each = size * size * 3;
    const expected = new Float32Array(count * each);
    pictures.forEach(([picture, how], i) => augmentInto(expected, i * each, picture, size, how, imagenet));
    const found = await augmented(pictures, size, imagenet);
    judged({
      quantity: `${count} augmented images of ${size} px, normalised, against the processor’s`,
      network: '—',
      on: 'webgpu',
      error: distance(found, expected),
      tolerance: 1e-4,
      command,
    });
    expect(describeUploads(pictures, 6000).parts.length).toBeGreaterThan(2);
    expect(distance(found, await augmented(pictures, size, imagenet, 6000))).toBe(0);
    expect(distance(found, await augmented(pictures, size, imagenet, 1))).toBe(0);
  });

  it('without the mean of their grey, where none has contrast', async () => {
    const size = 12;
    const pictures = drawnPictures(8, 8, size, 30).filter(([, { jitter }]) => !jitter.some(([k]) => k === 'contrast'));
    expect(pictures.length).toBeGreaterThan(1);
    const each = size * size * 3;
    const expected = new Float32Array(pictures.length * each);
    pictures.forEach(([picture, how], i) => augmentInto(expected, i * each, picture, size, how, imagenet));
    expect(distance(await augmented(pictures, size, imagenet), expected)).toBeLessThan(1e-4);
  });
});

describe('ready images become a padded input', () => {
  it.each([1, 3, 4, 6])('of %i channels', async (channels) => {
    const rows = 77;
    const images = kept('images', rows * channels);
    const values = Float32Array.from({ length: rows * channels }, (_, i) => Math.sin(i));
    const out = matrix('out', rows, channels > 4 ? 8 : 4);
    const [found] = await runDispatches(bench, widenedInput({ images, channels, out }), new Map([[images, values]]), [
      out,
    ]);
    const expected = new Float32Array(out.floats);
    for (let i = 0; i < values.length; i++) {
      expected[Math.floor(i / channels) * out.channels + (i % channels)] = values[i]!;
    }
    expect(found).toEqual(expected);
  });
});

describe('a step', () => {
  let engine: Engine;
  beforeAll(async () => {
    engine = await openInNode('webgpu');
  });
  afterAll(() => engine.dispose());
  const labels = Int32Array.of(0, 1, 2, 3, 4, 0);

  it('on pictures has the loss of a step on what the processor makes of them, whole and in parts', async () => {
    const pictures = drawnPictures(9, 6, 8, 30);
    const each = 8 * 8 * 3;
    const images = new Float32Array(6 * each);
    pictures.forEach(([picture, how], i) => augmentInto(images, i * each, picture, 8, how, imagenet));
    const batch = { pictures, n: 6, size: 8, labels, ...imagenet };
    for (const partSize of [6, 4]) {
      const losses: number[] = [];
      for (const parts of [splitBatch(batch, partSize), splitBatch({ images, n: 6, size: 8, labels }, partSize)]) {
        const fresh = await engine.build(stepsGraph, formulaWeights(stepsGraph), options);
        for (let step = 0; step < 2; step++) losses.push((await fresh.trainStep(parts, 0.01)).loss);
        fresh.dispose();
      }
      expect(Math.abs(losses[0]! - losses[2]!)).toBeLessThan(1e-5);
      expect(Math.abs(losses[1]! - losses[3]!)).toBeLessThan(1e-4);
    }
  });

  it('on pictures whose crops have other sizes needs nothing new, once the largest was there', async () => {
    const network = await engine.build(stepsGraph, formulaWeights(stepsGraph), options);
    const bytes: number[] = [];
    for (const widest of [60, 30, 40, 20, 30, 50]) {
      const pictures = drawnPictures(10, 6, 8, widest);
      await network.trainStep([{ pictures, n: 6, size: 8, labels, ...imagenet }], 0.01);
      bytes.push(engine.memory().bytes);
    }
    expect(new Set(bytes).size).toBe(1);
    network.dispose();
  });

  it('on fewer uploads than before leaves the rest to the next one', async () => {
    const network = await engine.build(stepsGraph, formulaWeights(stepsGraph), options);
    const small = drawnPictures(11, 2, 8, 30);
    const side = Math.ceil(Math.sqrt(UPLOAD / 2 / 3)) + 1;
    const picture = { width: side, height: side, data: new Uint8Array(side * side * 3).fill(7) };
    const crop = { left: 0, top: 0, width: side, height: side };
    const large: Pictures = small.map(([, how]) => [picture, { ...how, crop }]);
    expect([large, small].map((pictures) => describeUploads(pictures).parts.length)).toEqual([2, 1]);
    const bytes: number[] = [];
    for (const pictures of [large, small, large]) {
      await network.trainStep([{ pictures, n: 2, size: 8, labels: labels.slice(0, 2), ...imagenet }], 0.01);
      bytes.push(engine.memory().bytes);
    }
    expect(bytes[2]).toBe(bytes[0]);
    network.dispose();
  });
});
