import type { InPlace } from '../adam.ts';
import { dispatch, shader, touched } from './dispatch.ts';

const adam = shader('adam', {
  reads: ['gradient'],
  writes: ['first', 'second', 'parameter'],
  integers: ['size'],
  floats: ['beta1', 'beta2', 'epsilon', 'stepSize', 'correction'],
  body: `
  if (index >= u.size) { return; }
  let g = gradient[index];
  let m = first[index] + (1.0 - u.beta1) * (g - first[index]);
  let v = u.beta2 * second[index] + (1.0 - u.beta2) * g * g;
  first[index] = m;
  second[index] = v;
  parameter[index] = parameter[index] - u.stepSize * m / (sqrt(v) / u.correction + u.epsilon);`,
});

const move = shader('moveStatistics', {
  reads: ['moments'],
  writes: ['mean', 'variance'],
  integers: ['channels'],
  floats: ['momentum', 'unbias'],
  body: `
  if (index >= u.channels) { return; }
  mean[index] = mean[index] + u.momentum * (moments[index] - mean[index]);
  variance[index] = variance[index] + u.momentum * (u.unbias * moments[u.channels + index] - variance[index]);`,
});

/** Adam in one dispatch a variable, running statistics in one a batch norm, nothing allocated. */
export function inPlaceOnWebGpu(): InPlace {
  return {
    adam({ value, moments }, gradient, { beta1, beta2, epsilon, stepSize, correction }) {
      const { first, second } = moments!;
      const floats = [beta1, beta2, epsilon, stepSize, correction];
      dispatch(adam, [gradient, first, second, value], { integers: [value.size], floats }, Math.ceil(value.size / 64));
      touched(first, second, value);
    },
    move(mean, variance, moments, momentum, unbias) {
      const floats = [momentum, unbias];
      dispatch(move, [moments, mean, variance], { integers: [mean.size], floats }, Math.ceil(mean.size / 64));
      touched(mean, variance);
    },
  };
}
