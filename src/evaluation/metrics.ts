import { exp, log } from '../elementary.ts';
import type { ClassMetrics } from './types.ts';

/** Softmax over rows: logits `[n × classes]`, divided by `temperature` → probabilities `[n × classes]`, float32, sums of 1. */
export function softmax(logits: Float32Array, classes: number, temperature = 1): Float32Array {
  const out = new Float32Array(logits.length);
  for (let row = 0; row < logits.length; row += classes) {
    let top = -Infinity;
    for (let c = 0; c < classes; c++) top = Math.max(top, logits[row + c] as number);
    let sum = 0;
    const part = (c: number): number => exp(((logits[row + c] as number) - top) / temperature);
    for (let c = 0; c < classes; c++) sum += part(c);
    for (let c = 0; c < classes; c++) out[row + c] = part(c) / sum;
  }
  return out;
}

/**
 * Mean cross-entropy of logits `[n × classes]` in nats, computed from the logits so that a probability that rounds to 0
 * still costs a finite amount. NaN if any logit of a row is NaN.
 */
export function crossEntropy(logits: Float32Array, labels: ArrayLike<number>, classes: number): number {
  let total = 0;
  for (let i = 0; i < labels.length; i++) {
    const row = i * classes;
    let top = -Infinity;
    for (let c = 0; c < classes; c++) top = Math.max(top, logits[row + c] as number);
    let sum = 0;
    for (let c = 0; c < classes; c++) sum += exp((logits[row + c] as number) - top);
    total += log(sum) + top - (logits[row + (labels[i] as number)] as number);
  }
  return labels.length === 0 ? NaN : total / labels.length;
}

/** Index of the largest value of each row; the first of equals, as numpy. */
export function argmaxRows(values: Float32Array, classes: number): Int32Array {
  const out = new Int32Array(values.length / classes);
  for (let i = 0; i < out.length; i++) {
    let best = 0;
    for (let c = 1; c < classes; c++) {
      if ((values[i * classes + c] as number) > (values[i * classes + best] as number)) best = c;
    }
    out[i] = best;
  }
  return out;
}

/** Counts `[classes][classes]`: rows are the truth, columns what was predicted. */
export function confusionMatrix(truth: ArrayLike<number>, predicted: ArrayLike<number>, classes: number): number[][] {
  const matrix = Array.from({ length: classes }, () => new Array<number>(classes).fill(0));
  for (let i = 0; i < truth.length; i++) {
    const row = matrix[truth[i] as number] as number[];
    row[predicted[i] as number] = (row[predicted[i] as number] as number) + 1;
  }
  return matrix;
}

/** Share of the diagonal, 0–1; NaN for an empty matrix. */
export function accuracyOf(confusion: readonly (readonly number[])[]): number {
  let right = 0;
  let n = 0;
  confusion.forEach((row, i) => {
    right += row[i] as number;
    for (const count of row) n += count;
  });
  return right / n;
}

/** Precision, recall and support of each class. */
export function classMetrics(confusion: readonly (readonly number[])[], labels: readonly string[]): ClassMetrics[] {
  return labels.map((label, c) => {
    const row = confusion[c] as readonly number[];
    const support = row.reduce((sum, count) => sum + count, 0);
    const predicted = confusion.reduce((sum, other) => sum + (other[c] as number), 0);
    const right = row[c] as number;
    return {
      label,
      support,
      precision: predicted === 0 ? null : right / predicted,
      recall: support === 0 ? null : right / support,
    };
  });
}

/** Mean of what is known: scikit-learn's macro average with `zero_division=nan`. 0 where nothing is. */
export function macro(values: readonly (number | null)[]): number {
  const known = values.filter((value): value is number => value !== null);
  return known.length === 0 ? 0 : known.reduce((sum, value) => sum + value, 0) / known.length;
}

/** Wilson's score interval for a share of `right` in `n`, 95 % (E. B. Wilson, JASA 1927); [0, 1] for n = 0. */
export function wilsonInterval(right: number, n: number): readonly [number, number] {
  if (n === 0) return [0, 1];
  const z = 1.959963984540054;
  const p = right / n;
  const centre = (p + (z * z) / (2 * n)) / (1 + (z * z) / n);
  const half = (z / (1 + (z * z) / n)) * Math.sqrt((p * (1 - p)) / n + (z * z) / (4 * n * n));
  return [Math.max(0, centre - half), Math.min(1, centre + half)];
}
