import type { Tensor } from '../types.ts';
import { eachRow, empty, sizeOf, stridesOf } from './work.ts';

/** Axis i of the output is axis `order[i]` of x. */
export function transpose(order: readonly number[], x: Tensor, shape: readonly number[]): Tensor {
  const out = empty(shape);
  const strides = stridesOf(x.shape);
  const from = order.map((axis) => strides[axis]!);
  const last = shape.length - 1;
  eachRow(shape, from, stridesOf(shape), (atX, at) => {
    for (let i = 0; i < shape[last]!; i++) out.data[at + i] = x.data[atX + i * from[last]!]!;
  });
  return out;
}

export function concat(axis: number, inputs: readonly Tensor[], shape: readonly number[]): Tensor {
  const out = empty(shape);
  const outer = sizeOf(shape.slice(0, axis));
  const length = sizeOf(shape.slice(axis));
  let begin = 0;
  for (const { data } of inputs) {
    const part = data.length / outer;
    for (let i = 0; i < outer; i++) out.data.set(data.subarray(i * part, (i + 1) * part), i * length + begin);
    begin += part;
  }
  return out;
}
