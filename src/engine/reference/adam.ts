import * as tf from '@tensorflow/tfjs';
import type { OptimiserSettings } from '../types.ts';
import { rowsOf } from './ops/batchNorm.ts';
import type { DeviceParameter } from './parameters.ts';

/** What one update of Adam multiplies with, torch.optim.Adam (single tensor, no weight decay, no amsgrad). */
export interface AdamScalars {
  readonly beta1: number;
  readonly beta2: number;
  readonly epsilon: number;
  /** lr / (1 − β1^t). */
  readonly stepSize: number;
  /** sqrt(1 − β2^t). */
  readonly correction: number;
}

export function adamScalars(settings: OptimiserSettings, learningRate: number, step: number): AdamScalars {
  const { beta1, beta2, epsilon } = settings;
  return {
    beta1,
    beta2,
    epsilon,
    stepSize: learningRate / (1 - beta1 ** step),
    correction: Math.sqrt(1 - beta2 ** step),
  };
}

/** What a backend may do better than tfjs's ops: write parameters and running statistics in place. */
export interface InPlace {
  /** θ −= stepSize · m / (sqrt(v) / correction + ε), with m and v moved first. Reads the gradient, frees nothing. */
  adam(parameter: DeviceParameter, gradient: tf.Tensor, scalars: AdamScalars): void;
  /** running = (1 − momentum) · running + momentum · latest, for mean and (times `unbias`) variance; `moments` is `[2,C]`. */
  move(mean: tf.Tensor, variance: tf.Tensor, moments: tf.Tensor, momentum: number, unbias: number): void;
}

export function updateParameter(
  parameter: DeviceParameter,
  gradient: tf.Tensor,
  scalars: AdamScalars,
  inPlace: InPlace | null,
): void {
  if (inPlace) return inPlace.adam(parameter, gradient, scalars);
  const { beta1, beta2, epsilon, stepSize, correction } = scalars;
  const { value, moments } = parameter;
  const { first, second } = moments!;
  const [nextFirst, nextSecond, nextValue] = tf.tidy(() => {
    const m = tf.add(tf.mul(first, beta1), tf.mul(gradient, 1 - beta1));
    const v = tf.add(tf.mul(second, beta2), tf.mul(tf.square(gradient), 1 - beta2));
    const denominator = tf.add(tf.div(tf.sqrt(v), correction), epsilon);
    return [m, v, tf.sub(value, tf.mul(tf.div(m, denominator), stepSize))];
  });
  tf.dispose([first, second, value]);
  parameter.moments = { first: nextFirst!, second: nextSecond! };
  parameter.value = nextValue!;
}

/** Moves a batch norm's running statistics. `unbias`: n / (n − 1). */
export function moveStatistics(
  mean: DeviceParameter,
  variance: DeviceParameter,
  moments: tf.Tensor,
  momentum: number,
  unbias: number,
  inPlace: InPlace | null,
): void {
  if (inPlace) return inPlace.move(mean.value, variance.value, moments, momentum, unbias);
  const moved = tf.tidy(() => {
    const [latestMean, latestVariance] = rowsOf(moments);
    return [
      tf.add(tf.mul(mean.value, 1 - momentum), tf.mul(latestMean, momentum)),
      tf.add(tf.mul(variance.value, 1 - momentum), tf.mul(latestVariance, momentum * unbias)),
    ];
  });
  tf.dispose([mean.value, variance.value]);
  mean.value = moved[0]!;
  variance.value = moved[1]!;
}
