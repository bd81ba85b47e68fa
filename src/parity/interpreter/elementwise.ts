import type { Operation, Tensor } from '../types.ts';
import { eachRow, empty, stridesOf } from './work.ts';

type Unary = Extract<Operation, { kind: 'relu' | 'identity' | 'clip' | 'hardSigmoid' | 'threshold' }>;
export type BinaryKind = Extract<Operation, { y: string }>['kind'];

/** A NaN stays one: no comparison with it is true. */
const clamp = (value: number, low: number, high: number) => (value < low ? low : value > high ? high : value);

function formula(op: Unary): (value: number) => number {
  switch (op.kind) {
    case 'relu':
      return (value) => (value < 0 ? 0 : value);
    case 'identity':
      return (value) => value;
    case 'clip':
      return (value) => clamp(value, op.low, op.high);
    case 'hardSigmoid':
      return (value) => clamp(op.alpha * value + op.beta, 0, 1);
    case 'threshold': {
      const low = op.below === 'zero' ? 0 : op.alpha;
      return (value) => (value < op.alpha ? low : value);
    }
  }
}

export function unary(op: Unary, x: Tensor): Tensor {
  const out = empty(x.shape);
  const apply = formula(op);
  for (let i = 0; i < out.data.length; i++) out.data[i] = apply(x.data[i]!);
  return out;
}

/** As numpy's maximum and minimum: a NaN wins. */
const formulas: Readonly<Record<BinaryKind, (x: number, y: number) => number>> = {
  add: (x, y) => x + y,
  sub: (x, y) => x - y,
  mul: (x, y) => x * y,
  div: (x, y) => x / y,
  max: Math.max,
  min: Math.min,
};

/** `shape`: what both are broadcast to. */
export function binary(kind: BinaryKind, x: Tensor, y: Tensor, shape: readonly number[]): Tensor {
  const out = empty(shape);
  const apply = formulas[kind];
  const spread = merged(shape, broadcastStrides(x.shape, shape), broadcastStrides(y.shape, shape));
  const last = spread.shape.length - 1;
  const [length, stepX, stepY] = [spread.shape[last]!, spread.x[last]!, spread.y[last]!];
  eachRow(spread.shape, spread.x, spread.y, (atX, atY, row) => {
    for (let i = 0, at = row * length; i < length; i++, at++)
      out.data[at] = apply(x.data[atX + i * stepX]!, y.data[atY + i * stepY]!);
  });
  return out;
}

/** How far to go along each axis of `to` in a tensor that is broadcast to it: 0 along those that it lacks. */
function broadcastStrides(from: readonly number[], to: readonly number[]): number[] {
  const strides = stridesOf(from);
  const lacking = to.length - from.length;
  return to.map((_, axis) => (axis < lacking || from[axis - lacking] === 1 ? 0 : strides[axis - lacking]!));
}

/** Neighbouring axes as one where both tensors go through them as through one: longer rows. */
function merged(
  shape: readonly number[],
  x: readonly number[],
  y: readonly number[],
): { readonly shape: readonly number[]; readonly x: readonly number[]; readonly y: readonly number[] } {
  const result = { shape: [1], x: [0], y: [0] };
  shape.forEach((length, axis) => {
    if (length === 1) return;
    const last = result.shape.length - 1;
    const joins = (all: number[], stride: number) => result.shape[last] === 1 || all[last] === stride * length;
    if (joins(result.x, x[axis]!) && joins(result.y, y[axis]!)) {
      result.shape[last]! *= length;
      result.x[last] = x[axis]!;
      result.y[last] = y[axis]!;
    } else {
      result.shape.push(length);
      result.x.push(x[axis]!);
      result.y.push(y[axis]!);
    }
  });
  return result;
}
