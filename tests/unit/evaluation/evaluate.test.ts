import { afterEach, expect, it, vi } from 'vitest';
import type { ImageEntry, ImageSource, RgbImage } from '../../../src/dataset/types.ts';
import type { Network } from '../../../src/engine/types.ts';
import { evaluate } from '../../../src/evaluation/evaluate.ts';

afterEach(() => vi.restoreAllMocks());

it('tells how many images were decoded within a batch, at most ten times a second', async () => {
  let now = 0;
  vi.spyOn(performance, 'now').mockImplementation(() => now);
  const image: RgbImage = { width: 1, height: 1, data: new Uint8Array(3) };
  /** 40 ms an image. */
  const source: ImageSource = {
    read: async (indices, between) => {
      for (let i = 0; i < indices.length; i++) {
        now += 40;
        await between?.();
      }
      return indices.map(() => image);
    },
  };
  const network = { predict: (batch: { n: number }) => Promise.resolve(new Float32Array(batch.n * 2)) };
  const entries = Array.from({ length: 12 }, () => ({ label: 0 })) as unknown as readonly ImageEntry[];
  const told: [number, number][] = [];
  let gates = 0;
  await evaluate(network as unknown as Network, source, [...entries.keys()], entries, ['a', 'b'], {
    split: 'val',
    size: 1,
    mean: [0, 0, 0],
    std: [1, 1, 1],
    batch: 8,
    temperature: 1,
    onProgress: (done, total) => told.push([done, total]),
    between: () => Promise.resolve(void (gates += 1)),
  });
  // 1 at once; then after 120 ms or more; each batch's end once the network has seen it.
  expect(told).toEqual([1, 4, 7, 8, 11, 12].map((done) => [done, 12]));
  expect(gates).toBe(12 + 2);
});
