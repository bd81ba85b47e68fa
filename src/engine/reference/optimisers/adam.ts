import * as tf from '@tensorflow/tfjs';
import { power } from '../../../elementary.ts';
import { optimiserSlots } from '../../optimiserSlots.ts';
import type { AdamSettings } from '../../types.ts';
import type { Optimiser } from './types.ts';

/**
 * torch.optim.Adam and AdamW, without amsgrad. Adam's weight decay is a part of the gradient, and so of the moments (`decay`); AdamW's
 * shrinks the weights beside them, in proportion to the learning rate (`shrink`).
 */
export function adam(settings: AdamSettings): Optimiser {
  const { kind, beta1, beta2, epsilon, weightDecay } = settings;
  const decay = kind === 'adam' ? weightDecay : 0;
  return {
    slots: optimiserSlots(settings),
    wgsl: {
      name: 'adam',
      // 1 − β2 in float32 would be wrong in its fifth digit.
      floats: ['gain1', 'beta2', 'gain2', 'epsilon', 'stepSize', 'correction', 'decay', 'shrink'],
      body: `
  let g = slope + u.decay * value[index];
  let m = exp_avg[index] + u.gain1 * (g - exp_avg[index]);
  let v = u.beta2 * exp_avg_sq[index] + u.gain2 * g * g;
  exp_avg[index] = m;
  exp_avg_sq[index] = v;
  value[index] = u.shrink * value[index] - u.stepSize * m / (sqrt(v) / u.correction + u.epsilon);`,
    },
    at(learningRate, step) {
      const stepSize = learningRate / (1 - power(beta1, step));
      const correction = Math.sqrt(1 - power(beta2, step));
      const shrink = kind === 'adamw' ? 1 - learningRate * weightDecay : 1;
      const [gain1, gain2] = [1 - beta1, 1 - beta2];
      return {
        floats: [gain1, beta2, gain2, epsilon, stepSize, correction, decay, shrink],
        onProcessor(value, gradient, [first, second], scale) {
          const [means, squares] = [first!, second!];
          for (let i = 0; i < value.length; i++) {
            const g = scale * gradient[i]! + decay * value[i]!;
            const m = (means[i] = means[i]! + gain1 * (g - means[i]!));
            const v = (squares[i] = beta2 * squares[i]! + gain2 * g * g);
            value[i] = shrink * value[i]! - (stepSize * m) / (Math.sqrt(v) / correction + epsilon);
          }
        },
        withOps(value, gradient, [first, second]) {
          const g = decay === 0 ? gradient : tf.add(gradient, tf.mul(value, decay));
          const m = tf.add(tf.mul(first!, beta1), tf.mul(g, gain1));
          const v = tf.add(tf.mul(second!, beta2), tf.mul(tf.square(g), gain2));
          const denominator = tf.add(tf.div(tf.sqrt(v), correction), epsilon);
          const kept = shrink === 1 ? value : tf.mul(value, shrink);
          return [tf.sub(kept, tf.mul(tf.div(m, denominator), stepSize)), m, v];
        },
      };
    },
  };
}
