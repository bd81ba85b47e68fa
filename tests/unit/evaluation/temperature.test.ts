import { readFileSync } from 'node:fs';
import { describe, expect, it } from 'vitest';
import { classify } from '../../../src/evaluation/classify.ts';
import { report } from '../../../src/evaluation/evaluate.ts';
import { fitTemperature } from '../../../src/evaluation/temperature.ts';

interface Case {
  readonly classes: number;
  readonly labels: number[];
  readonly logits: number[];
  readonly fitted: number;
  readonly kept: number;
}
/** By grids of numpy, without derivatives: tests/python/make_temperature.py. */
const cases = JSON.parse(readFileSync(new URL('../../fixtures/temperature.json', import.meta.url), 'utf8')) as Record<
  string,
  Case
>;

describe('the temperature', () => {
  it.each(Object.entries(cases))('%s: numpy’s', (_, { classes, labels, logits, kept }) => {
    const found = fitTemperature(Float32Array.from(logits), labels, classes);
    // A grid can't tell losses apart that differ in the last bits: the square root of those.
    if (kept === 1) expect(found).toBe(1);
    else expect(Math.abs(found / kept - 1)).toBeLessThan(1e-6);
  });

  it('is 1 where there is nothing to fit: one class, no image, logits that are no numbers', () => {
    expect(fitTemperature(Float32Array.of(3, -2), [0, 0], 1)).toBe(1);
    expect(fitTemperature(new Float32Array(), [], 4)).toBe(1);
    for (const bad of [NaN, Infinity, -Infinity])
      expect(fitTemperature(Float32Array.of(1, 0, bad, 2, 0, 5), [0, 1, 0], 2)).toBe(1);
    expect(fitTemperature(new Float32Array(8), [0, 1, 1, 0], 2)).toBe(1);
  });

  it('stays within its bounds for the largest logits that float32 has', () => {
    const apart = fitTemperature(Float32Array.of(3e38, -3e38, -3e38, 3e38), [0, 1], 2);
    // Nothing is lost at 1 already.
    expect(apart).toBe(1);
    expect(fitTemperature(Float32Array.of(3e38, -3e38, -3e38, 3e38), [1, 0], 2)).toBeCloseTo(20, 12);
  });

  it('is what n right of n images say of the next: two classes, all of them right by the same margin', () => {
    // Then the fitted probability is the target itself, (n + 1) / (n + 2): logit margin m at T gives 1 / (1 + e^(−m/T)).
    const n = 14;
    const logits = Float32Array.from({ length: 2 * n }, (_, i) => (i % 2 === 0 ? 1.5 : 0));
    const found = fitTemperature(logits, new Array<number>(n).fill(0), 2);
    expect(1 / (1 + Math.exp(-1.5 / found))).toBeCloseTo((n + 1) / (n + 2), 12);
  });
});

describe('probabilities', () => {
  const logits = Float32Array.of(2, 0, -1, 0.5, 1, 3);
  const byHand = (row: number, temperature: number): number[] => {
    const parts = [0, 1, 2].map((c) => Math.exp((logits[3 * row + c] as number) / temperature));
    const sum = parts.reduce((a, b) => a + b, 0);
    return parts.map((part) => part / sum);
  };

  it('of a report are those of the logits divided by it; loss and accuracy stay those of the logits', () => {
    const of = (temperature: number) => report(logits, [0, 1], ['a', 'b', 'c'], [7, 8], 'test', temperature);
    const [plain, warm] = [of(1), of(2.5)];
    expect(warm.temperature).toBe(2.5);
    expect([warm.loss, warm.accuracy]).toEqual([plain.loss, plain.accuracy]);
    [...byHand(0, 2.5), ...byHand(1, 2.5)].forEach((p, i) => expect(warm.probabilities[i]).toBeCloseTo(p, 7));
    [...byHand(0, 1), ...byHand(1, 1)].forEach((p, i) => expect(plain.probabilities[i]).toBeCloseTo(p, 7));
  });

  it('of a report that is asked to fit are those of what fits its own images', () => {
    const { classes, labels, logits: many, kept } = cases['too sure'] as Case;
    const names = Array.from({ length: classes }, (_, c) => `class ${c}`);
    const fitted = report(Float32Array.from(many), labels, names, labels, 'val', 'fit');
    expect(fitted.temperature).toBeCloseTo(kept, 5);
    const sums = many.slice(0, classes).map((x) => Math.exp(x / kept));
    expect(fitted.probabilities[0]).toBeCloseTo((sums[0] as number) / sums.reduce((a, b) => a + b, 0), 5);
  });

  it('of an image in Try, too', async () => {
    const image = { width: 1, height: 1, data: new Uint8Array(3) };
    const network = { predict: () => Promise.resolve(logits.slice(0, 3)) };
    const reading = { labels: ['a', 'b', 'c'], size: 1, geometry: 'squash', temperature: 4 } as const;
    const { classes } = await classify(network, image, { ...reading, mean: [0, 0, 0], std: [1, 1, 1] });
    byHand(0, 4).forEach((p, c) => expect(classes[c]?.probability).toBeCloseTo(p, 7));
  });
});
