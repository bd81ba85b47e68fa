import type { Tensor } from '../types.ts';

/**
 * How operations are carried out: each yields now and then how many multiplications it has done since, a few milliseconds' worth at
 * most, and returns its output, not yet rounded, in memory of its own.
 */
export type Work = Generator<number, Tensor, void>;

/** Multiplications after which an operation yields. */
export const STINT = 2 ** 21;

export const sizeOf = (shape: readonly number[]): number => shape.reduce((product, side) => product * side, 1);

export const empty = (
  shape: readonly number[],
): { readonly shape: readonly number[]; readonly data: Float32Array } => ({
  shape,
  data: new Float32Array(sizeOf(shape)),
});

/** How far apart neighbours along each axis lie, row-major. */
export function stridesOf(shape: readonly number[]): number[] {
  const strides = shape.map(() => 1);
  for (let axis = shape.length - 2; axis >= 0; axis--) strides[axis] = strides[axis + 1]! * shape[axis + 1]!;
  return strides;
}

/**
 * Goes through an index space row by row: `visit` gets where the row begins in two tensors whose neighbours along each axis lie `a` and
 * `b` apart, and sees to the last axis itself.
 */
export function eachRow(
  shape: readonly number[],
  a: readonly number[],
  b: readonly number[],
  visit: (atA: number, atB: number, row: number) => void,
): void {
  const last = shape.length - 1;
  const index = shape.map(() => 0);
  let atA = 0;
  let atB = 0;
  for (let row = 0; ; row++) {
    visit(atA, atB, row);
    let axis = last - 1;
    for (; axis >= 0; axis--) {
      atA += a[axis]!;
      atB += b[axis]!;
      if (++index[axis]! < shape[axis]!) break;
      atA -= a[axis]! * shape[axis]!;
      atB -= b[axis]! * shape[axis]!;
      index[axis] = 0;
    }
    if (axis < 0) return;
  }
}
