import { exp, log } from '../../elementary.ts';

/**
 * Softmax cross-entropy, computed on the processor in double precision: logits are read back each step anyway, and a loss that
 * isn't finite is known before anything is updated.
 */
export interface CrossEntropy {
  /** Sum over the rows of −log softmax(logits)[label], nats. */
  readonly sum: number;
  /** `[n, classes]`: (softmax − one-hot) · scale. */
  readonly gradient: Float32Array;
}

/** `scale`: 1 / size of the whole batch, so that the gradients of its parts sum to the mean's. */
export function crossEntropy(logits: Float32Array, labels: Int32Array, classes: number, scale: number): CrossEntropy {
  const gradient = new Float32Array(logits.length);
  let sum = 0;
  for (let row = 0; row < labels.length; row++) {
    const offset = row * classes;
    const label = labels[row]!;
    if (!(label >= 0 && label < classes)) throw new Error(`Label ${label} is outside 0–${classes - 1}.`);
    let highest = -Infinity;
    for (let c = 0; c < classes; c++) {
      const value = logits[offset + c]!;
      // NaN must reach the sum: a plain maximum would skip it.
      if (value > highest || value !== value) highest = value;
    }
    let total = 0;
    for (let c = 0; c < classes; c++) total += exp(logits[offset + c]! - highest);
    sum += log(total) + highest - logits[offset + label]!;
    for (let c = 0; c < classes; c++) {
      const probability = exp(logits[offset + c]! - highest) / total;
      gradient[offset + c] = (probability - (c === label ? 1 : 0)) * scale;
    }
  }
  return { sum, gradient };
}
