import { exp, log } from '../elementary.ts';

/** Beyond these a model says either nothing or nothing but 0 and 1. */
const COLDEST = 0.05;
const HOTTEST = 20;
/** Newton's steps double the right digits; where the bracket must halve instead, this many come to the last bit. */
const STEPS = 100;

/**
 * The temperature T > 0 by which logits `[n × classes]` are divided so that their softmax can be believed: temperature scaling (Guo,
 * Pleiss, Sun, Weinberger, “On Calibration of Modern Neural Networks”, ICML 2017), by the cross-entropy on images that nothing was learnt
 * from. On a split that the model gets wholly right that loss falls for ever as T → 0. So it is fitted to targets short of certainty (Platt,
 * “Probabilistic Outputs for Support Vector Machines”, 1999): the right class gets (n + 1) / (n + 2), the other classes share the rest. That
 * is Laplace's rule of succession, what n right answers in n say of the next. Platt counts a class by itself, having two targets to
 * set; here one number is fitted to all n images, and with the few that a rare class has its targets would bend the rest. Between
 * 0.05 and 20.
 *
 * 1 where this T doesn't lower the plain cross-entropy of the same images, and where there is nothing to fit: one class, no image, a logit
 * that is no finite number. The same bits everywhere.
 */
export function fitTemperature(logits: Float32Array, labels: ArrayLike<number>, classes: number): number {
  const n = labels.length;
  if (n === 0 || classes < 2 || !logits.every(Number.isFinite)) return 1;
  const rest = 1 / (n + 2) / (classes - 1);
  const right = (n + 1) / (n + 2);
  // The loss is convex in β = 1 / T; its slope is the sum of Σ z (p − target), its curvature that of the variance of z under p.
  let low = 1 / HOTTEST;
  let high = 1 / COLDEST;
  const from = sums(logits, labels, classes, low, right, rest);
  const to = sums(logits, labels, classes, high, right, rest);
  let beta = 1;
  if (from.slope >= 0) beta = low;
  else if (to.slope <= 0) beta = high;
  else
    for (let step = 0; step < STEPS && low < high; step++) {
      const { slope, curvature } = sums(logits, labels, classes, beta, right, rest);
      if (slope === 0) break;
      if (slope > 0) high = beta;
      else low = beta;
      const next = beta - slope / curvature;
      const before = beta;
      beta = next > low && next < high ? next : (low + high) / 2;
      if (Math.abs(beta - before) <= 1e-14 * before) break;
    }
  const loss = sums(logits, labels, classes, beta, 1, 0).loss;
  return loss < sums(logits, labels, classes, 1, 1, 0).loss ? 1 / beta : 1;
}

/** The cross-entropy of β · logits with targets `right` for the label and `rest` for each other class, summed; its derivatives by β. */
function sums(
  logits: Float32Array,
  labels: ArrayLike<number>,
  classes: number,
  beta: number,
  right: number,
  rest: number,
): { readonly loss: number; readonly slope: number; readonly curvature: number } {
  let loss = 0;
  let slope = 0;
  let curvature = 0;
  for (let i = 0; i < labels.length; i++) {
    const row = logits.subarray(i * classes, (i + 1) * classes);
    let top = -Infinity;
    for (const logit of row) top = Math.max(top, logit);
    let total = 0;
    let mean = 0;
    let square = 0;
    let wanted = 0;
    for (let c = 0; c < classes; c++) {
      // From the top down: what is added to all logits of an image changes nothing.
      const z = (row[c] as number) - top;
      const weight = exp(beta * z);
      total += weight;
      mean += weight * z;
      square += weight * z * z;
      wanted += (c === labels[i] ? right : rest) * z;
    }
    mean /= total;
    loss += log(total) - beta * wanted;
    slope += mean - wanted;
    curvature += square / total - mean * mean;
  }
  return { loss, slope, curvature };
}
