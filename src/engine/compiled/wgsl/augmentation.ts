import { WORDS } from '../../augmentationUpload.ts';
import { ADDERS, finishCode, meanGreyCode, reduceCode, STATISTICS_FIELDS, turnCode } from './augmentationCode.ts';
import type { AugmentedInput, WidenedInput } from '../augmentedInput.ts';
import type { Dispatch } from '../kernels.ts';
import { arena, shader, type Storage } from './shader.ts';

const WORKGROUP = 64;

const bits = (name: string): Storage => ({ name, access: 'read', element: 'u32' });
const means: Storage = { name: 'means', access: 'read_write', element: 'f32' };
const reads = (name: string): string => `
fn ${name}_at(i : i32) -> vec3<f32> { return ${name}[i].xyz; }`;
const writes = (name: string): string => `
fn set_${name}(i : i32, rgb : vec3<f32>) { ${name}[i] = vec4<f32>(rgb, 0.0); }`;
const guard = 'if (index >= u.count) { return; }';

const reduce = shader('augmentedInput-reduce', {
  storage: [bits('parameters'), bits('pixels'), arena('reduced')],
  integers: ['count', 'size', 'bound'],
  workgroup: WORKGROUP,
  declarations: writes('reduced') + reduceCode.declarations,
  body: `
  ${guard}
  let at = index;
  let image = at / (u.size * u.size);
  if (u32(image) < parameters[u.bound] || u32(image) >= parameters[u.bound + 1]) { return; }${reduceCode.body}`,
});

const turn = shader('augmentedInput-turn', {
  storage: [bits('parameters'), arena('reduced'), arena('turned')],
  integers: ['count', 'size'],
  workgroup: WORKGROUP,
  declarations: reads('reduced') + writes('turned') + turnCode.declarations,
  body: `${guard}${turnCode.body}`,
});

const meanGrey = shader('augmentedInput-meanGrey', {
  storage: [arena('turned'), means],
  integers: ['pixels', 'images'],
  workgroup: ADDERS,
  declarations: reads('turned') + meanGreyCode.declarations,
  body: meanGreyCode.body,
});

const finish = shader('augmentedInput-finish', {
  storage: [bits('parameters'), means, arena('turned')],
  integers: ['count', 'size'],
  floats: STATISTICS_FIELDS,
  workgroup: WORKGROUP,
  declarations: reads('turned') + writes('turned') + finishCode.declarations,
  body: `${guard}${finishCode.body}`,
});

export interface AugmentedInputDispatches {
  /** The n-th for the n-th upload. */
  readonly reduce: readonly Dispatch[];
  readonly turn: Dispatch;
  /** Not needed where no image has contrast. */
  readonly meanGrey: Dispatch;
  readonly finish: Dispatch;
}

/** What `engine/augmentation.ts` does; in this order. */
export function augmentedInput(call: AugmentedInput): AugmentedInputDispatches {
  const { images, size, parameters, pixels, reduced, out, mean, std } = call;
  const count = images * size * size;
  const workgroups = Math.ceil(count / WORKGROUP);
  return {
    reduce: pixels.map((upload, part) => ({
      program: reduce,
      memories: [parameters, upload, reduced],
      integers: [count, size, images * WORDS + part],
      workgroups,
    })),
    turn: { program: turn, memories: [parameters, reduced, out], integers: [count, size], workgroups },
    meanGrey: { program: meanGrey, memories: [out, call.means], integers: [size * size, images], workgroups: images },
    finish: {
      program: finish,
      memories: [parameters, call.means, out],
      integers: [count, size],
      floats: [...mean, ...std],
      workgroups,
    },
  };
}

const widen = shader('widenedInput', {
  storage: [{ name: 'images', access: 'read', element: 'f32' }, arena('result')],
  integers: ['count', 'fours', 'channels'],
  workgroup: WORKGROUP,
  body: `
  ${guard}
  let first = (index % u.fours) * 4;
  let row = index / u.fours;
  var value = vec4<f32>(0.0);
  for (var i = 0; i < 4; i++) {
    if (first + i < u.channels) { value[i] = images[row * u.channels + first + i]; }
  }
  result[index] = value;`,
});

/** Copies, channels beyond the images' are 0. */
export function widenedInput({ images, channels, out }: WidenedInput): Dispatch[] {
  const count = out.floats / 4;
  return [
    {
      program: widen,
      memories: [images, out],
      integers: [count, out.channels / 4, channels],
      workgroups: Math.ceil(count / WORKGROUP),
    },
  ];
}
