import { eachRow, stridesOf } from '../interpreter/work.ts';
import type { Tensor } from '../types.ts';
import type { Reading, Value } from './reading.ts';
import { borderOf, checkFormat, sizesOf, windowOf } from './windows.ts';

/**
 * Conv2D, DepthwiseConv2dNative and MatMul, alone or with what was fused to them. Filters are `[kH, kW, in, out]`, of a depthwise convolution
 * `[kH, kW, in, multiplier]`; matrices `[in, out]`. tensorflow/core/ops/nn_ops.cc, math_ops.cc.
 */
export function convolution(reading: Reading, depthwise: boolean): Value {
  const { fail } = reading;
  const x = reading.bordered(0);
  const filter = reading.stored(1, 'filter');
  const [kernelHeight, kernelWidth, ins, last] = filter.shape as [number, number, number, number];
  const [, height, width, channels] = x.shape as [number, number, number, number];
  if (x.shape.length !== 4 || filter.shape.length !== 4) fail('its input or its filter hasn’t four axes');
  checkFormat(reading);
  if (ins !== channels) fail(`${channels} channels come in, its filter has ${ins}`);

  const dilations = sizesOf(reading, 'dilations') ?? [1, 1];
  const border = borderOf(x, (value) => value === 0) ?? fail('the border before it isn’t of zeros');
  const window = windowOf(reading, [height, width], border, [kernelHeight, kernelWidth], dilations);
  const outs = depthwise ? ins * last : last;
  const permuted: Tensor = depthwise
    ? { shape: [outs, 1, kernelHeight, kernelWidth], data: permutation(filter, [2, 3, 0, 1]) }
    : { shape: [outs, ins, kernelHeight, kernelWidth], data: permutation(filter, [3, 2, 0, 1]) };
  const shape = [1, ...window.size, outs];
  const weight = reading.put(1, 'as filter', permuted);
  return withFused(reading, shape, (bias, step) =>
    reading.emit(
      {
        kind: 'conv',
        x: x.name,
        weight,
        bias,
        strides: window.strides,
        dilations,
        pads: window.pads,
        groups: depthwise ? ins : 1,
      },
      shape,
      step,
    ),
  );
}

export function matrixProduct(reading: Reading): Value {
  const { attributes, fail } = reading;
  const x = reading.value(0);
  const matrix = reading.stored(1, 'matrix');
  if (x.shape.length !== 2 || matrix.shape.length !== 2) fail('its input or its matrix hasn’t two axes');
  if (attributes.flag('transpose_a') === true) fail('it transposes its input');
  // Ours is [out, in].
  const isOurs = attributes.flag('transpose_b') === true;
  const [rows, columns] = matrix.shape as [number, number];
  const [outs, ins] = isOurs ? [rows, columns] : [columns, rows];
  if (ins !== x.shape[1]) fail(`${x.shape[1]} numbers come in, its matrix has ${ins} rows`);
  const data = isOurs ? matrix.data : permutation(matrix, [1, 0]);
  const weight = reading.put(1, isOurs ? 'as it is' : 'transposed', { shape: [outs, ins], data });
  return withFused(reading, [1, outs], (bias, step) =>
    reading.emit({ kind: 'linear', x: x.name, weight, bias }, [1, outs], step),
  );
}

/** What follows in the same operation: a bias, and an activation. */
function withFused(
  reading: Reading,
  shape: readonly number[],
  product: (bias: string | null, step?: string) => Value,
): Value {
  const channels = shape.at(-1) as number;
  const fused = [...reading.attributes.texts('fused_ops')];
  let bias: string | null = null;
  if (fused[0] === 'BiasAdd') {
    fused.shift();
    const tensor = reading.stored(2, 'bias');
    if (tensor.shape.join() !== String(channels)) reading.fail(`its bias isn’t of ${channels} numbers`);
    bias = reading.put(2, 'as it is', tensor);
  }
  // Of a batch norm that would be fused to it, which is refused.
  reading.attributes.number('epsilon');
  const [activation, ...more] = fused;
  if (more.length > 0) reading.fail(`${more.join(', ')} is fused to it`);
  if (activation === undefined || activation === 'Identity') return product(bias);
  const { name: x } = product(bias, 'before the activation');
  switch (activation) {
    case 'Relu':
      return { ...reading.emit({ kind: 'relu', x }, shape), nonNegative: true };
    case 'Relu6':
      return { ...reading.emit({ kind: 'clip', x, low: 0, high: 6 }, shape), nonNegative: true };
    default:
      return reading.fail(`${activation} is fused to it`);
  }
}

/** The numbers of a tensor whose axis i is axis `order[i]` of the given one. */
function permutation({ shape, data }: Tensor, order: readonly number[]): Float32Array {
  const result = new Float32Array(data.length);
  const strides = stridesOf(order.map((axis) => shape[axis]!));
  const apart = shape.map((_, axis) => strides[order.indexOf(axis)]!);
  const last = shape.length - 1;
  // In the order in which they lie there: its last axis, of channels, is the long one.
  eachRow(shape, stridesOf(shape), apart, (from, to) => {
    for (let i = 0; i < shape[last]!; i++) result[to + i * apart[last]!] = data[from + i]!;
  });
  return result;
}
