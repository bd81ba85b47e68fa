import type { Element } from '../memory.ts';

/** Four numbers as they lie in memory, to and from vec4<f32>, in which kernels reckon. Places and values are WGSL expressions. */
export function loaded(element: Element, place: string): string {
  return element === 'f32' ? place : `vec4<f32>(${place})`;
}

/** A statement. What is beyond f16's 65,504 becomes infinite: conversions round to nearest on the devices there are, WGSL leaves it open. */
export function storing(element: Element, place: string, value: string): string {
  return `${place} = ${element === 'f32' ? value : `vec4<f16>(${value})`};`;
}

/** A statement: a variable becomes what its readers will see, so that sums made beside what is written are of the same numbers. */
export function rounding(element: Element, variable: string): string {
  return element === 'f32' ? '' : `${variable} = vec4<f32>(vec4<f16>(${variable}));`;
}
