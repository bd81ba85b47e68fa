import { describe, expect, it } from 'vitest';
import { palettize } from '../../../src/export/eightBit/palettize.ts';
import { quantize } from '../../../src/export/eightBit/quantize.ts';

/** Numbers between 0 and 1, the same each time (Numerical Recipes' generator). */
function numbers(seed: number): () => number {
  let state = seed;
  return () => {
    state = (Math.imul(state, 1664525) + 1013904223) >>> 0;
    return (state + 0.5) / 2 ** 32;
  };
}
function normal(count: number, spread: number, seed = 1): Float32Array {
  const next = numbers(seed);
  return Float32Array.from(
    { length: count },
    () => spread * Math.sqrt(-2 * Math.log(next())) * Math.cos(2 * Math.PI * next()),
  );
}
const squaredError = (values: Float32Array, { palette, indices }: ReturnType<typeof palettize>) =>
  values.reduce((sum, value, i) => sum + (value - palette[indices[i]!]!) ** 2, 0);

/** The least squared error that any `clusters` values give: dynamic programming over the sorted values, exact. */
function leastError(values: Float32Array, clusters: number): number {
  const sorted = Float64Array.from(values).sort();
  const n = sorted.length;
  const [sums, squares] = [new Float64Array(n + 1), new Float64Array(n + 1)];
  sorted.forEach((value, i) => {
    sums[i + 1] = sums[i]! + value;
    squares[i + 1] = squares[i]! + value ** 2;
  });
  const cost = (from: number, to: number) =>
    squares[to]! - squares[from]! - (sums[to]! - sums[from]!) ** 2 / (to - from);
  let best = Float64Array.from({ length: n + 1 }, (_, to) => (to === 0 ? 0 : cost(0, to)));
  for (let k = 2; k <= clusters; k++) {
    const next = new Float64Array(n + 1);
    // The best border moves to the right with the end: divide and conquer.
    const fill = (low: number, high: number, first: number, last: number): void => {
      if (low > high) return;
      const middle = (low + high) >> 1;
      let [border, least] = [first, Infinity];
      for (let from = first; from <= Math.min(last, middle - 1); from++) {
        const error = best[from]! + cost(from, middle);
        if (error < least) [border, least] = [from, error];
      }
      next[middle] = middle === 0 ? 0 : least;
      fill(low, middle - 1, first, border);
      fill(middle + 1, high, border, last);
    };
    fill(k, n, k - 1, n - 1);
    best = next;
  }
  return best[n]!;
}

describe('a palette of 256', () => {
  it.each([
    ['as many layers’ weights are spread', normal(3000, 0.05)],
    ['with one weight far out', Float32Array.of(...normal(3000, 0.05, 2), 1.3)],
    ['where most are nearly zero', normal(3000, 1, 3).map((value) => value ** 5 / 1e4)],
  ])('costs at most a quarter more than the best possible of 3000 weights, %s', (_, values) => {
    const least = leastError(values, 256);
    expect(squaredError(values, palettize(values))).toBeLessThan(1.25 * least);
    expect(squaredError(values, palettize(values))).toBeGreaterThan(0.99 * least);
  });

  it('costs a hundred thousand normal weights what theory says', () => {
    const values = normal(100_000, 0.05);
    // Panter and Dite: √3 π σ² / (2 · 256²) a weight.
    const expected = (Math.sqrt(3) * Math.PI * 0.05 ** 2) / (2 * 256 ** 2);
    const found = squaredError(values, palettize(values)) / values.length;
    expect(found / expected).toBeGreaterThan(0.8);
    expect(found / expected).toBeLessThan(1.05);
  });

  it('loses nothing of 256 values or fewer, however large or small', () => {
    for (const scale of [1e-30, 1, 1e30]) {
      const values = Float32Array.from({ length: 5000 }, (_, i) => scale * ((i * 37) % 251));
      const { palette, indices } = palettize(values);
      expect(Float32Array.from(indices, (index) => palette[index]!)).toEqual(values);
    }
    expect([...palettize(new Float32Array(10)).palette]).toEqual(new Array(256).fill(0));
  });

  it('is ascending, and each weight has the nearest of it', () => {
    const values = normal(20_000, 0.3, 5);
    const { palette, indices } = palettize(values);
    expect([...palette]).toEqual([...palette].sort((a, b) => a - b));
    const far = values.filter((value, i) => {
      const distance = Math.abs(value - palette[indices[i]!]!);
      // Weights that round to the same half go together, at a border to the side of most of them.
      return palette.some((other) => Math.abs(value - other) < distance - 2 ** -9 * Math.abs(value));
    });
    expect(far.length).toBe(0);
  });
});

describe('a scale and a zero point for each channel', () => {
  it('are coremltools’, by hand', () => {
    // Of −1…1.55: 255 steps of 0.01, zero after 100 of them. Without a negative weight zero is the least; of zeros nothing is left.
    const weights = Float32Array.of(-1, 0, 1.55, 0.014, 0.5, 0.25, 2.55, 0, 0, 0, 0, 0);
    const { values, scale, zeroPoint } = quantize(weights, 3);
    expect([...scale].slice(0, 2).map((step) => step.toFixed(6))).toEqual(['0.010000', '0.010000']);
    expect([...zeroPoint].slice(0, 2)).toEqual([-28, -128]);
    expect([...values]).toEqual([
      -128,
      -28,
      127,
      -27,
      -78,
      -103,
      127,
      -128,
      ...new Array<number>(4).fill(zeroPoint[2]!),
    ]);
    expect(scale[2]).toBeGreaterThan(0);
  });

  it('errs by half a step, and not at all at zero', () => {
    const weights = normal(6400, 0.05, 7);
    weights[3] = 0;
    const { values, scale, zeroPoint } = quantize(weights, 64);
    weights.forEach((weight, i) => {
      const channel = Math.floor(i / 100);
      const back = scale[channel]! * (values[i]! - zeroPoint[channel]!);
      if (weight === 0) expect(back).toBe(0);
      expect(Math.abs(back - weight)).toBeLessThan(0.501 * scale[channel]!);
    });
  });

  it('divides by the scale that the file holds', () => {
    const weights = Float32Array.of(-1, 1.56);
    const { values, scale } = quantize(weights, 1, () => 0.02);
    expect(scale[0]).toBeCloseTo(0.02);
    expect(values[1]! - values[0]!).toBe(128);
  });
});
