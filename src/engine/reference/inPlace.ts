import type * as tf from '@tensorflow/tfjs';
import type { Update } from './optimisers/types.ts';
import type { DeviceParameter } from './parameters.ts';

/** What a backend may do better than tfjs's ops: write parameters and running statistics in place. Nothing here frees what it is given. */
export interface InPlace {
  /** Moves a trained parameter and what the optimiser keeps of it. `scale`: of `clipScale`; null leaves the gradient as it is. */
  update(parameter: DeviceParameter, gradient: tf.Tensor, update: Update, scale: tf.Tensor | null): void;
  /** `clipScale`, from all gradients at once. */
  clipScale(gradients: readonly tf.Tensor[], maxNorm: number): tf.Tensor;
  /** running = (1 − momentum) · running + momentum · latest, for mean and (times `unbias`) variance; `moments` is `[2,C]`. */
  move(mean: tf.Tensor, variance: tf.Tensor, moments: tf.Tensor, momentum: number, unbias: number): void;
}
