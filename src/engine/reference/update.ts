import * as tf from '@tensorflow/tfjs';
import type { InPlace } from './inPlace.ts';
import { rowsOf } from './ops/batchNorm.ts';
import type { Update } from './optimisers/types.ts';
import type { DeviceParameter } from './parameters.ts';

/**
 * What torch.nn.utils.clip_grad_norm_ multiplies all gradients with so that the norm of all of them together is at most `maxNorm`: a
 * tensor of one number, the caller's to free.
 */
export function clipScale(gradients: readonly tf.Tensor[], maxNorm: number, inPlace: InPlace | null): tf.Tensor {
  if (inPlace) return inPlace.clipScale(gradients, maxNorm);
  return tf.tidy(() => {
    const squares = gradients.map((gradient) => tf.sum(tf.square(gradient)));
    return tf.minimum(tf.div(maxNorm, tf.add(tf.sqrt(tf.addN(squares)), CLIP_EPSILON)), 1);
  });
}

/** torch adds it to the norm before it divides by it. */
export const CLIP_EPSILON = 1e-6;

/** `scale`: of `clipScale`; null where gradients are not clipped. */
export function updateParameter(
  parameter: DeviceParameter,
  gradient: tf.Tensor,
  update: Update,
  scale: tf.Tensor | null,
  inPlace: InPlace | null,
): void {
  if (inPlace) return inPlace.update(parameter, gradient, update, scale);
  const state = parameter.state!;
  const [value, ...moved] = tf.tidy(() =>
    update.withOps(parameter.value, scale ? tf.mul(gradient, scale) : gradient, state),
  );
  tf.dispose([parameter.value, ...state]);
  parameter.value = value;
  parameter.state = moved;
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
