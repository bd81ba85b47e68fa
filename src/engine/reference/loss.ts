import { exp, log } from '../../elementary.ts';
import type { LossSettings } from '../types.ts';

/**
 * Softmax cross-entropy, computed on the processor in double precision: logits are read back each step anyway, and a loss that
 * isn't finite is known before anything is updated.
 */
export interface CrossEntropy {
  /** Sum over the rows of −Σ over c of w[c] · target[c] · log softmax(logits)[c], nats. */
  readonly sum: number;
  /** `[n, classes]`: of `sum`, times scale. */
  readonly gradient: Float32Array;
}

const plain: LossSettings = { smoothing: 0, classWeights: null };

/**
 * target = (1 − smoothing) · one-hot + smoothing / classes. `scale`: 1 / `weightOf` the whole batch, so that the gradients of its parts
 * sum to the mean's. torch's: a weight stands before its own class's part of the target, also where both are there.
 */
export function crossEntropy(
  logits: Float32Array,
  labels: Int32Array,
  classes: number,
  scale: number,
  { smoothing, classWeights }: LossSettings = plain,
): CrossEntropy {
  const gradient = new Float32Array(logits.length);
  /** Of each class: what every row's target has of it; times weight. */
  const spread = Float64Array.from({ length: classes }, (_, c) => (smoothing / classes) * (classWeights?.[c] ?? 1));
  const spreadMass = spread.reduce((total, one) => total + one, 0);
  let sum = 0;
  for (let row = 0; row < labels.length; row++) {
    const offset = row * classes;
    const label = labels[row]!;
    if (!(label >= 0 && label < classes)) throw new Error(`Label ${label} is outside 0–${classes - 1}.`);
    const onLabel = (1 - smoothing) * (classWeights?.[label] ?? 1);
    const mass = onLabel + spreadMass;
    let highest = -Infinity;
    for (let c = 0; c < classes; c++) {
      const value = logits[offset + c]!;
      // NaN must reach the sum: a plain maximum would skip it.
      if (value > highest || value !== value) highest = value;
    }
    let total = 0;
    for (let c = 0; c < classes; c++) total += exp(logits[offset + c]! - highest);
    const level = log(total) + highest;
    sum += onLabel * (level - logits[offset + label]!);
    for (let c = 0; c < classes; c++) {
      const logit = logits[offset + c]!;
      // Without it, a logit of −∞ is none.
      if (smoothing > 0) sum += spread[c]! * (level - logit);
      const probability = exp(logit - highest) / total;
      gradient[offset + c] = (mass * probability - (spread[c]! + (c === label ? onLabel : 0))) * scale;
    }
  }
  return { sum, gradient };
}

/** Sum of the labels' weights, which torch's mean divides by; their number where all classes are alike. */
export function weightOf(labels: Int32Array, { classWeights }: LossSettings = plain): number {
  if (classWeights === null) return labels.length;
  let sum = 0;
  // A label that is outside is refused where the loss is made.
  for (const label of labels) sum += classWeights[label] ?? 0;
  return sum;
}
