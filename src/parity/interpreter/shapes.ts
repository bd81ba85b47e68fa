import { ImpossibleOperationError } from '../errors.ts';
import type { Operation } from '../types.ts';
import { sizeOf } from './work.ts';

type Shape = readonly number[];
const words = (shape: Shape) => `[${shape.join(', ')}]`;
const isCount = (number: number) => Number.isSafeInteger(number) && number >= 0;
const isPositive = (number: number) => isCount(number) && number >= 1;

/** Numbers in one tensor: 512 MiB, thirty times what a network has on 1024 × 1024 pixels. More is asked for by what is broken alone. */
const MOST = 2 ** 27;

export function checkSize(op: Operation, shape: Shape): void {
  if (!(sizeOf(shape) <= MOST))
    throw new ImpossibleOperationError(op.name, `${words(shape)} is more than memory can be set aside for`);
}

/** Axes count from the end where they are negative. */
export function wholeAxis(op: Operation, axis: number, rank: number): number {
  const whole = axis < 0 ? axis + rank : axis;
  if (!Number.isInteger(axis) || whole < 0 || whole >= rank)
    throw new ImpossibleOperationError(op.name, `axis ${axis} of ${rank}`);
  return whole;
}

/** The shape of an operation's output, from those of what it reads; everything that doesn't fit is an error here. */
export function shapeOf(op: Operation, of: (name: string) => Shape): Shape {
  const fail = (why: string): never => {
    throw new ImpossibleOperationError(op.name, why);
  };
  const expect = (what: string, name: string | null, shape: Shape) => {
    if (name !== null && words(of(name)) !== words(shape)) fail(`${what} is ${words(of(name))}, not ${words(shape)}`);
  };
  const rankOf = (name: string, rank: number): Shape => {
    const shape = of(name);
    return shape.length === rank ? shape : fail(`“${name}” is ${words(shape)}, which has not ${rank} axes`);
  };
  /** Of a window that slides over a padded side. */
  const slid = (side: number, before: number, after: number, span: number, stride: number) => {
    if (!isCount(before) || !isCount(after) || !isPositive(stride))
      fail(`stride ${stride}, padding ${before} and ${after}`);
    if (!isPositive(span)) fail(`a window of ${span}`);
    const places = Math.floor((side + before + after - span) / stride) + 1;
    return places >= 1 ? places : fail(`a window of ${span} does not fit into ${side} + ${before + after}`);
  };

  switch (op.kind) {
    case 'conv': {
      const [n, c, h, w] = rankOf(op.x, 4) as [number, number, number, number];
      const [out, channels, height, width] = rankOf(op.weight, 4) as [number, number, number, number];
      if (!isPositive(op.groups) || channels * op.groups !== c || out % op.groups !== 0)
        fail(`filters ${words(of(op.weight))} in ${op.groups} groups for ${c} channels`);
      expect('bias', op.bias, [out]);
      if (!op.dilations.every(isPositive)) fail(`dilations ${words(op.dilations)}`);
      const [top, bottom, left, right] = op.pads;
      const shape = [
        n,
        out,
        slid(h, top, bottom, (height - 1) * op.dilations[0] + 1, op.strides[0]),
        slid(w, left, right, (width - 1) * op.dilations[1] + 1, op.strides[1]),
      ];
      checkSize(op, [n, c, h + top + bottom, w + left + right]);
      return shape;
    }
    case 'maxPool':
    case 'avgPool': {
      const [n, c, h, w] = rankOf(op.x, 4) as [number, number, number, number];
      const [top, bottom, left, right] = op.pads;
      if (Math.max(top, bottom) >= op.kernel[0] || Math.max(left, right) >= op.kernel[1])
        fail('a window may lie in the padding alone');
      return [
        n,
        c,
        slid(h, top, bottom, op.kernel[0], op.strides[0]),
        slid(w, left, right, op.kernel[1], op.strides[1]),
      ];
    }
    case 'batchNorm': {
      const shape = of(op.x);
      if (shape.length < 2) fail(`“${op.x}” is ${words(shape)}`);
      for (const name of [op.mean, op.variance, op.gamma, op.beta]) expect(`“${name}”`, name, [shape[1]!]);
      return shape;
    }
    case 'add':
    case 'sub':
    case 'mul':
    case 'div':
    case 'max':
    case 'min': {
      const [x, y] = [of(op.x), of(op.y)];
      const rank = Math.max(x.length, y.length);
      return Array.from({ length: rank }, (_, axis) => {
        const [a, b] = [x[axis - rank + x.length] ?? 1, y[axis - rank + y.length] ?? 1];
        return a === b || b === 1 ? a : a === 1 ? b : fail(`${words(x)} and ${words(y)}`);
      });
    }
    case 'relu':
    case 'identity':
    case 'clip':
    case 'hardSigmoid':
    case 'threshold':
      return of(op.x);
    case 'softmax':
      wholeAxis(op, op.axis, of(op.x).length);
      return of(op.x);
    case 'mean': {
      const shape = of(op.x);
      const axes = op.axes.map((axis) => wholeAxis(op, axis, shape.length));
      return shape.flatMap((side, axis) => (!axes.includes(axis) ? [side] : op.keepDims ? [1] : []));
    }
    case 'reshape': {
      const size = sizeOf(of(op.x));
      const known = sizeOf(op.shape.filter((side) => side !== -1));
      const shape = op.shape.map((side) => (side === -1 ? size / known : side));
      return sizeOf(shape) === size && shape.every((side) => Number.isInteger(side) && side >= 1)
        ? shape
        : fail(`${words(of(op.x))} does not become ${words(op.shape)}`);
    }
    case 'transpose': {
      const shape = of(op.x);
      const axes = op.order.map((axis) => wholeAxis(op, axis, shape.length));
      if (axes.length !== shape.length || new Set(axes).size !== shape.length)
        fail(`${words(of(op.x))} in the order ${words(op.order)}`);
      return axes.map((axis) => shape[axis]!);
    }
    case 'concat': {
      const shapes = op.inputs.map(of);
      const first = shapes[0] ?? fail('it joins nothing');
      const axis = wholeAxis(op, op.axis, first.length);
      const others = (shape: Shape) => words(shape.with(axis, 0));
      const odd = shapes.find((shape) => shape.length !== first.length || others(shape) !== others(first));
      if (odd !== undefined) fail(`${words(first)} and ${words(odd)} along axis ${axis}`);
      return first.with(
        axis,
        shapes.reduce((sum, shape) => sum + shape[axis]!, 0),
      );
    }
    case 'linear': {
      const [n, inputs] = rankOf(op.x, 2) as [number, number];
      const [out] = rankOf(op.weight, 2) as [number, number];
      expect('the matrix', op.weight, [out, inputs]);
      expect('bias', op.bias, [out]);
      return [n, out];
    }
  }
}

/** Multiplications, roughly: what progress is measured by. */
export function costOf(op: Operation, of: (name: string) => Shape, out: Shape): number {
  const size = sizeOf(out);
  switch (op.kind) {
    case 'conv':
      return size * (1 + sizeOf(of(op.weight).slice(1)));
    case 'linear':
      return size * (1 + of(op.weight)[1]!);
    case 'maxPool':
    case 'avgPool':
      return size * (1 + op.kernel[0] * op.kernel[1]);
    default:
      return size;
  }
}
