import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { augmentInto } from '../../../src/engine/augmentation.ts';
import { copyCrops, describeUploads, UPLOAD, WORDS, type Pictures } from '../../../src/engine/augmentationUpload.ts';
import { boundsOf, parameterWords } from '../../../src/engine/compiled/augmentedInput.ts';
import { kept, matrix, type Memory } from '../../../src/engine/compiled/memory.ts';
import { augmentedInput, widenedInput } from '../../../src/engine/compiled/wgsl/augmentation.ts';
import type { ChannelStatistics } from '../../../src/engine/normalise.ts';
import { augmentedInput as referenceInput } from '../../../src/engine/reference/augmentedInput.ts';
import type { Engine } from '../../../src/engine/types.ts';
import { augmentationCases } from '../../unit/support/augmentationSuite.ts';
import { drawnPictures } from '../../unit/support/drawnPictures.ts';
import { distance } from '../../unit/support/engineSuites.ts';
import { openInNode } from '../../unit/support/openInNode.ts';
import { openBench, runDispatches, type Bench } from './support/runCalls.ts';

let bench: Bench;
beforeAll(async () => {
  bench = await openBench();
});

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

describe('pictures become a padded input', () => {
  it('as torchvision makes them, given its parameters', async () => {
    for (const size of new Set(augmentationCases.map((one) => one.size))) {
      const cases = augmentationCases.filter((one) => one.size === size);
      const pictures = cases.map(({ source, augmentation }) => [source, augmentation] as const);
      const found = await augmented(pictures, size, levels);
      const each = size * size * 3;
      cases.forEach(({ name, onTensors }, i) => {
        expect(distance(found.subarray(i * each, (i + 1) * each), onTensors) / 255, name).toBeLessThan(2e-5);
      });
    }
  });

  it('as the processor makes them, normalised, in one upload or several', async () => {
    const [size, count] = [23, 9];
    const pictures = drawnPictures(7, count, size, 90);
    const each = size * size * 3;
    const expected = new Float32Array(count * each);
    pictures.forEach(([picture, how], i) => augmentInto(expected, i * each, picture, size, how, imagenet));
    const found = await augmented(pictures, size, imagenet);
    expect(distance(found, expected)).toBeLessThan(1e-4);
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

  describe('as the reference runtime makes them', () => {
    let engine: Engine;
    beforeAll(async () => {
      engine = await openInNode('webgpu');
    });
    afterAll(() => engine.dispose());

    it('on its own device', async () => {
      const [size, n] = [17, 6];
      const pictures = drawnPictures(9, n, size, 60);
      const batch = { pictures, n, size, labels: new Int32Array(n), ...imagenet };
      const tensor = await referenceInput(batch, () => Promise.reject(new Error('On the processor.')));
      const expected = (await tensor.data()) as Float32Array;
      tensor.dispose();
      expect(distance(await augmented(pictures, size, imagenet), expected)).toBeLessThan(1e-5);
    });
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
