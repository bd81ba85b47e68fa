import { describe, expect, it } from 'vitest';
import { batchRanges, epochOrder, partMomentum, splitBatch } from '../../../src/training/batches.ts';

describe('the order of an epoch', () => {
  const indices = Array.from({ length: 50 }, (_, i) => i + 7);

  it('is a permutation that seed and epoch decide', () => {
    const first = epochOrder(indices, 1, 1);
    expect([...first].sort((a, b) => a - b)).toEqual(indices);
    expect(epochOrder(indices, 1, 1)).toEqual(first);
    expect(epochOrder(indices, 1, 2)).not.toEqual(first);
    expect(epochOrder(indices, 2, 1)).not.toEqual(first);
  });
});

describe('the batches of an epoch', () => {
  it('keep a last, smaller batch', () => {
    expect(batchRanges(10, 4)).toEqual([
      [0, 4],
      [4, 8],
      [8, 10],
    ]);
  });

  it('drop a last batch of one image: torch’s BatchNorm refuses it too', () => {
    expect(batchRanges(9, 4)).toEqual([
      [0, 4],
      [4, 8],
    ]);
  });
});

describe('micro-batches', () => {
  const batch = {
    images: Float32Array.from({ length: 10 * 12 }, (_, i) => i),
    labels: Int32Array.from({ length: 10 }, (_, i) => i),
    n: 10,
    size: 2,
  };

  it('are as equal as can be and hold the batch in its order', () => {
    const parts = splitBatch(batch, 4);
    expect(parts.map((part) => part.n)).toEqual([3, 3, 4]);
    expect(parts.flatMap((part) => [...part.labels])).toEqual([...batch.labels]);
    expect(parts.flatMap((part) => [...part.images])).toEqual([...batch.images]);
  });

  it('forget BatchNorm statistics as fast as the whole batch: (1 − m′)^k = 1 − m', () => {
    const momentum = partMomentum(0.1, 32, 8);
    expect((1 - momentum) ** 4).toBeCloseTo(0.9, 12);
    expect(partMomentum(0.1, 32, 32)).toBe(0.1);
  });
});
