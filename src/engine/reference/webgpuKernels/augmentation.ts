import type { TensorInfo } from '@tensorflow/tfjs';
import { AUGMENT, type AugmentAttributes } from '../augmentedInput.ts';
import {
  ADDERS,
  finishCode,
  meanGreyCode,
  reduceCode,
  STATISTICS_FIELDS,
  turnCode,
  type AugmentationCode,
} from './augmentationCode.ts';
import { allocate, dispatch, free, shader, webgpuKernel } from './dispatch.ts';

/** The steps of `engine/augmentation.ts`, in four dispatches a batch. */

const reads = (name: string): string => `
fn ${name}_at(i : i32) -> vec3<f32> { return vec3<f32>(${name}[i * 3], ${name}[i * 3 + 1], ${name}[i * 3 + 2]); }`;
const writes = (name: string): string => `
fn set_${name}(i : i32, rgb : vec3<f32>) {
  ${name}[i * 3] = rgb.x;
  ${name}[i * 3 + 1] = rgb.y;
  ${name}[i * 3 + 2] = rgb.z;
}`;
const aPixel = ({ body }: AugmentationCode): string => `if (index >= u.count) { return; }${body}`;

const reduce = shader('augmentReduce', {
  reads: ['parameters', 'pixels'],
  bits: ['parameters', 'pixels'],
  writes: ['reduced'],
  integers: ['count', 'size', 'first'],
  declarations: writes('reduced') + reduceCode.declarations,
  body: `
  if (index >= u.count) { return; }
  let image = u.first + index / (u.size * u.size);
  let at = u.first * u.size * u.size + index;${reduceCode.body}`,
});

const turn = shader('augmentTurn', {
  reads: ['parameters', 'reduced'],
  bits: ['parameters'],
  writes: ['turned'],
  integers: ['count', 'size'],
  declarations: reads('reduced') + writes('turned') + turnCode.declarations,
  body: aPixel(turnCode),
});

const meanGrey = shader('augmentMeanGrey', {
  reads: ['turned'],
  writes: ['means'],
  integers: ['pixels', 'images'],
  workgroup: ADDERS,
  declarations: reads('turned') + meanGreyCode.declarations,
  body: meanGreyCode.body,
});

const finish = shader('augmentFinish', {
  reads: ['parameters', 'means'],
  bits: ['parameters'],
  writes: ['turned'],
  integers: ['count', 'size'],
  floats: STATISTICS_FIELDS,
  declarations: reads('turned') + writes('turned') + finishCode.declarations,
  body: aPixel(finishCode),
});

export const augment = webgpuKernel(
  AUGMENT,
  ({ parameters, ...pixels }: Record<string, TensorInfo>, { n, size, bounds, mean, std }: AugmentAttributes) => {
    const shape = [n, size, size, 3];
    const count = n * size * size;
    const reduced = allocate(shape);
    for (let part = 0; part + 1 < bounds.length; part++) {
      const first = bounds[part]!;
      const here = (bounds[part + 1]! - first) * size * size;
      const tensors = [parameters!, pixels[`pixels${part}`]!, reduced];
      dispatch(reduce, tensors, { integers: [here, size, first] }, Math.ceil(here / 64));
    }
    const turned = allocate(shape);
    dispatch(turn, [parameters!, reduced, turned], { integers: [count, size] }, Math.ceil(count / 64));
    free(reduced);
    const means = allocate([n]);
    dispatch(meanGrey, [turned, means], { integers: [size * size, n] }, n);
    const uniforms = { integers: [count, size], floats: [...mean, ...std] };
    dispatch(finish, [parameters!, means, turned], uniforms, Math.ceil(count / 64));
    free(means);
    return turned;
  },
);
