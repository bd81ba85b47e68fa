import type { InPlace } from '../adam.ts';
import { touched, view } from './heap.ts';

/** Adam in one pass over the heap: no temporaries, no copies. */
export function inPlaceOnWasm(): InPlace {
  return {
    adam({ value, moments }, gradient, { beta1, beta2, epsilon, stepSize, correction }) {
      const parameter = view(value);
      const first = view(moments!.first);
      const second = view(moments!.second);
      const g = view(gradient);
      for (let i = 0; i < g.length; i++) {
        const slope = g[i]!;
        const m = (first[i] = first[i]! + (1 - beta1) * (slope - first[i]!));
        const v = (second[i] = beta2 * second[i]! + (1 - beta2) * slope * slope);
        parameter[i] = parameter[i]! - (stepSize * m) / (Math.sqrt(v) / correction + epsilon);
      }
      touched(value);
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
