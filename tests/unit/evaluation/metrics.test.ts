import { readFileSync } from 'node:fs';
import { describe, expect, it } from 'vitest';
import { report } from '../../../src/evaluation/evaluate.ts';
import { crossEntropy, softmax, wilsonInterval } from '../../../src/evaluation/metrics.ts';

/** By scikit-learn and scipy: tests/python/make_metrics.py. */
const { report: fixture, wilson } = JSON.parse(
  readFileSync(new URL('../../fixtures/metrics.json', import.meta.url), 'utf8'),
) as {
  report: {
    classes: number;
    logits: number[];
    truth: number[];
    loss: number;
    accuracy: number;
    precision: number;
    recall: number;
    confusion: number[][];
    probabilities: number[];
  };
  wilson: Record<string, { right: number; n: number; low: number; high: number }>;
};
const labels = ['a', 'b', 'c', 'd', 'e'];
const indices = fixture.truth.map((_, i) => i + 100);
const result = report(Float32Array.from(fixture.logits), fixture.truth, labels, indices, 'test', 1);

describe('a report', () => {
  it('has scikit-learn’s loss, accuracy, macro precision and recall', () => {
    expect(result.n).toBe(40);
    expect(result.loss).toBeCloseTo(fixture.loss, 6);
    expect(result.accuracy).toBeCloseTo(fixture.accuracy, 12);
    expect(result.precision).toBeCloseTo(fixture.precision, 12);
    expect(result.recall).toBeCloseTo(fixture.recall, 12);
  });

  it('has scikit-learn’s confusion matrix, truth in the rows', () => {
    expect(result.confusion).toEqual(fixture.confusion);
  });

  it('knows no precision for a class that was never predicted, and no recall for one without images', () => {
    expect(result.perClass[3]?.precision).toBeNull();
    expect(result.perClass[3]?.recall).toBe(0);
    expect(result.perClass[4]?.recall).toBeNull();
    expect(result.perClass[4]?.support).toBe(0);
  });

  it('has scipy’s softmax, and keeps which image each row belongs to', () => {
    expect(result.indices).toEqual(indices);
    fixture.probabilities.forEach((value, i) => expect(result.probabilities[i]).toBeCloseTo(value, 6));
  });
});

describe('the Wilson interval', () => {
  it.each(Object.values(wilson))('of $right in $n is scipy’s', ({ right, n, low, high }) => {
    const [ours, theirs] = wilsonInterval(right, n);
    expect(ours).toBeCloseTo(low, 10);
    expect(theirs).toBeCloseTo(high, 10);
  });
});

describe('loss and softmax', () => {
  it('stay finite for logits far apart', () => {
    expect(crossEntropy(Float32Array.of(1000, 0), [1], 2)).toBeCloseTo(1000, 3);
    expect([...softmax(Float32Array.of(1000, 0), 2)]).toEqual([1, 0]);
  });

  it('pass NaN on instead of hiding it', () => {
    expect(crossEntropy(Float32Array.of(NaN, 0), [1], 2)).toBeNaN();
  });
});
