import type { Activation } from '../memory.ts';

/** `fn NAME(z : vec4<f32>) -> vec4<f32>` and its derivative, `NAME_slope`; on the edges as torch (ATen/native/cpu/Activation.cpp). */
export function activationCode(name: string, kind: Activation): string {
  const [value, slope] = bodies[kind];
  return `
fn ${name}(z : vec4<f32>) -> vec4<f32> { return ${value}; }
fn ${name}_slope(z : vec4<f32>) -> vec4<f32> { return ${slope}; }`;
}

const zero = 'vec4<f32>(0.0)';
const one = 'vec4<f32>(1.0)';

const bodies: Readonly<Record<Activation, readonly [value: string, slope: string]>> = {
  none: ['z', one],
  // NaN stays NaN, which max would make 0.
  relu: [`select(z, ${zero}, z <= ${zero})`, `select(${zero}, ${one}, z > ${zero})`],
  hardswish: [
    `z * clamp(z + 3.0, ${zero}, vec4<f32>(6.0)) / 6.0`,
    `select(select(z / 3.0 + 0.5, ${one}, z > vec4<f32>(3.0)), ${zero}, z < vec4<f32>(-3.0))`,
  ],
  hardsigmoid: [
    `clamp(z + 3.0, ${zero}, vec4<f32>(6.0)) / 6.0`,
    `select(${zero}, vec4<f32>(1.0 / 6.0), abs(z) < vec4<f32>(3.0))`,
  ],
};
