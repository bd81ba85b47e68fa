/** The pass that computes features: what it tells of the time that is left. */
import { expect, it } from 'vitest';
import { computeFeatures } from '../../../src/training/features.ts';

const waiting = (ms: number): Promise<void> => new Promise((resolve) => setTimeout(resolve, ms));

it('the time that is left is told from the second chunk on, without the first, which compiles', async () => {
  const told: [number, number | null][] = [];
  let chunks = 0;
  await computeFeatures({
    store: null,
    wanted: [
      {
        images: Array.from({ length: 8 }, (_, i) => i),
        set: null,
        batchOf: (some) => Promise.resolve({ images: new Float32Array(some.length * 3), n: some.length, size: 1 }),
      },
    ],
    width: 1,
    chunk: 2,
    // Longer than what lies between two reports.
    compute: async ({ n }) => {
      chunks += 1;
      await waiting(chunks === 1 ? 2000 : 150);
      return new Float32Array(n);
    },
    gate: () => Promise.resolve('go'),
    progress: (done, _, seconds) => void told.push([done, seconds]),
  });
  expect(told.map(([done]) => done)).toEqual([0, 2, 4, 6, 8]);
  const seconds = told.map(([, left]) => left);
  expect([seconds[0], seconds[1], seconds[4]]).toEqual([null, null, 0]);
  // Two chunks and one of 0.15 s; with the first in the mean it would be two and one of more than a second.
  expect(seconds[2]).toBeGreaterThanOrEqual(0.29);
  expect(seconds[2]).toBeLessThan(1.5);
  expect(seconds[3]).toBeLessThan(0.7);
});
