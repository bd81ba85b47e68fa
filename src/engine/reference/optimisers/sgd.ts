import * as tf from '@tensorflow/tfjs';
import { optimiserSlots } from '../../optimiserSlots.ts';
import type { SgdSettings } from '../../types.ts';
import type { Optimiser } from './types.ts';

/**
 * torch.optim.SGD without dampening: its first momentum buffer is the gradient itself, which is what a buffer of zeros becomes.
 * Weight decay is a part of the gradient. torch refuses `nesterov` without momentum; here it means nothing then.
 */
export function sgd(settings: SgdSettings): Optimiser {
  const { momentum, weightDecay } = settings;
  const slots = optimiserSlots(settings);
  const nesterov = settings.nesterov && momentum !== 0;
  return {
    slots,
    wgsl:
      slots.length === 0
        ? {
            name: 'sgd',
            floats: ['rate', 'decay'],
            body: 'value[index] = value[index] - u.rate * (slope + u.decay * value[index]);',
          }
        : {
            name: nesterov ? 'sgdNesterov' : 'sgdMomentum',
            floats: ['rate', 'decay', 'momentum'],
            body: `
  let g = slope + u.decay * value[index];
  let carried = u.momentum * momentum_buffer[index] + g;
  momentum_buffer[index] = carried;
  value[index] = value[index] - u.rate * ${nesterov ? '(g + u.momentum * carried)' : 'carried'};`,
          },
    at: (rate) => ({
      floats: slots.length === 0 ? [rate, weightDecay] : [rate, weightDecay, momentum],
      onProcessor(value, gradient, [buffer], scale) {
        for (let i = 0; i < value.length; i++) {
          const g = scale * gradient[i]! + weightDecay * value[i]!;
          let direction = g;
          if (buffer) {
            const carried = (buffer[i] = momentum * buffer[i]! + g);
            direction = nesterov ? g + momentum * carried : carried;
          }
          value[i] = value[i]! - rate * direction;
        }
      },
      withOps(value, gradient, [buffer]) {
        const g = weightDecay === 0 ? gradient : tf.add(gradient, tf.mul(value, weightDecay));
        if (!buffer) return [tf.sub(value, tf.mul(g, rate))];
        const carried = tf.add(tf.mul(buffer, momentum), g);
        const direction = nesterov ? tf.add(g, tf.mul(carried, momentum)) : carried;
        return [tf.sub(value, tf.mul(direction, rate)), carried];
      },
    }),
  };
}
