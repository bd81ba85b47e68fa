import type { InPlace } from '../inPlace.ts';
import type { Optimiser } from '../optimisers/types.ts';
import { clipScaleOnWebGpu } from './clipping.ts';
import { dispatch, shader, touched, type Program } from './dispatch.ts';

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

const programs = new Map<string, Program>();

function updateProgram({ slots, wgsl }: Optimiser, clipped: boolean): Program {
  const name = clipped ? `${wgsl.name}Clipped` : wgsl.name;
  let program = programs.get(name);
  if (!program) {
    program = shader(name, {
      reads: clipped ? ['gradient', 'scale'] : ['gradient'],
      writes: [...slots, 'value'],
      integers: ['size'],
      floats: wgsl.floats,
      body: `
  if (index >= u.size) { return; }
  let slope = gradient[index]${clipped ? ' * scale[0]' : ''};
  ${wgsl.body}`,
    });
    programs.set(name, program);
  }
  return program;
}

/** An update in one dispatch a variable, running statistics in one a batch norm, nothing allocated. */
export function inPlaceOnWebGpu(): InPlace {
  return {
    update({ value, state }, gradient, optimiser, { floats }, scale) {
      const read = scale ? [gradient, scale] : [gradient];
      const uniforms = { integers: [value.size], floats };
      const program = updateProgram(optimiser, scale !== null);
      dispatch(program, [...read, ...state!, value], uniforms, Math.ceil(value.size / 64));
      touched(...state!, value);
    },
    clipScale: clipScaleOnWebGpu,
    move(mean, variance, moments, momentum, unbias) {
      const floats = [momentum, unbias];
      dispatch(move, [moments, mean, variance], { integers: [mean.size], floats }, Math.ceil(mean.size / 64));
      touched(mean, variance);
    },
  };
}
