import * as tf from '@tensorflow/tfjs';
import type { InPlace } from '../inPlace.ts';
import { CLIP_EPSILON } from '../update.ts';
import { touched, view } from './heap.ts';

/** Updates in one pass over the heap: no temporaries, no copies. */
export function inPlaceOnWasm(): InPlace {
  return {
    update({ value, state }, gradient, update, scale) {
      update.onProcessor(view(value), view(gradient), state!.map(view), scale ? view(scale)[0]! : 1);
      touched(value);
    },
    clipScale(gradients, maxNorm) {
      let squares = 0;
      for (const gradient of gradients) for (const slope of view(gradient)) squares += slope * slope;
      return tf.scalar(Math.min(1, maxNorm / (Math.sqrt(squares) + CLIP_EPSILON)));
    },
    move(mean, variance, moments, momentum, unbias) {
      const runningMean = view(mean);
      const runningVariance = view(variance);
      const latest = view(moments);
      const channels = runningMean.length;
      for (let c = 0; c < channels; c++) {
        runningMean[c] = (1 - momentum) * runningMean[c]! + momentum * latest[c]!;
        runningVariance[c] = (1 - momentum) * runningVariance[c]! + momentum * unbias * latest[channels + c]!;
      }
    },
  };
}
