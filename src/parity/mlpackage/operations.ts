import type { Operation, Rounding } from '../types.ts';

/** What an operation of the program says of itself. Everything it asks for and that isn't there, or is of another kind, is a named error. */
export interface Arguments {
  has(name: string): boolean;
  /** The name of a value in the interpreter's language: of an earlier operation, or of a constant, which it makes. */
  tensor(name: string): string;
  tensors(name: string): string[];
  /** As `tensor`, or null where it isn't there. */
  optional(name: string): string | null;
  /** A name like `tensor`'s, of the transpose of a constant matrix. */
  transposed(name: string): string;
  /** Of what was named: an earlier operation or a constant. */
  shape(name: string): readonly number[];
  number(name: string, otherwise?: number): number;
  numbers(name: string, otherwise?: readonly number[]): readonly number[];
  flag(name: string, otherwise: boolean): boolean;
  text(name: string, otherwise?: string): string;
  fail(what: string): Error;
  /** Refuses arguments that nobody has asked for: they might change what the operation means. */
  end(): void;
}

/** `rest`: the name and the rounding of what it gives. */
type Translate = (from: Arguments, rest: { readonly name: string; readonly rounding: Rounding }) => Operation;

type Pair = readonly [number, number];

function pair(from: Arguments, name: string, otherwise?: readonly number[]): Pair {
  const values = from.numbers(name, otherwise);
  if (values.length !== 2) throw from.fail(`“${name}” has ${values.length} numbers, and only two sides are known here`);
  return [values[0]!, values[1]!];
}

/** [top, bottom, left, right], which is MIL's own order. */
function pads(from: Arguments): readonly [number, number, number, number] {
  const type = from.text('pad_type', 'valid');
  const values = from.numbers('pad', [0, 0, 0, 0]);
  if (type === 'valid' && values.every((value) => value === 0)) return [0, 0, 0, 0];
  if (type !== 'custom' || values.length !== 4) throw from.fail(`its padding, “${type}” of ${values.length} numbers`);
  return [values[0]!, values[1]!, values[2]!, values[3]!];
}

function window(from: Arguments) {
  if (from.flag('ceil_mode', false)) throw from.fail('“ceil_mode”');
  return {
    x: from.tensor('x'),
    kernel: pair(from, 'kernel_sizes'),
    strides: pair(from, 'strides', [1, 1]),
    pads: pads(from),
  };
}

const binary =
  (kind: 'add' | 'sub' | 'mul' | 'div' | 'max' | 'min'): Translate =>
  (from, rest) => ({ ...rest, kind, x: from.tensor('x'), y: from.tensor('y') });

const clip = (from: Arguments, low: number, high: number) => ({
  kind: 'clip' as const,
  x: from.tensor('x'),
  low,
  high,
});

/** Operations of the opsets from iOS 15 on (coremltools, converters/mil/mil/ops/defs), by their names there, with their defaults. */
export const translations: Readonly<Record<string, Translate>> = {
  add: binary('add'),
  sub: binary('sub'),
  mul: binary('mul'),
  real_div: binary('div'),
  maximum: binary('max'),
  minimum: binary('min'),
  relu: (from, rest) => ({ ...rest, kind: 'relu', x: from.tensor('x') }),
  relu6: (from, rest) => ({ ...rest, ...clip(from, 0, 6) }),
  clip: (from, rest) => ({ ...rest, ...clip(from, from.number('alpha'), from.number('beta')) }),
  identity: (from, rest) => ({ ...rest, kind: 'identity', x: from.tensor('x') }),
  sigmoid_hard: (from, rest) => ({
    ...rest,
    kind: 'hardSigmoid',
    x: from.tensor('x'),
    alpha: from.number('alpha'),
    beta: from.number('beta'),
  }),
  thresholded_relu: (from, rest) => ({
    ...rest,
    kind: 'threshold',
    x: from.tensor('x'),
    alpha: from.number('alpha'),
    below: 'zero',
  }),
  cast(from, rest) {
    const wanted = { fp16: 'float16', fp32: 'float32' }[from.text('dtype')];
    if (wanted !== rest.rounding) throw from.fail(`it casts to ${from.text('dtype')} and gives ${rest.rounding}`);
    return { ...rest, kind: 'identity', x: from.tensor('x') };
  },
  conv: (from, rest) => ({
    ...rest,
    kind: 'conv',
    x: from.tensor('x'),
    weight: from.tensor('weight'),
    bias: from.optional('bias'),
    strides: pair(from, 'strides', [1, 1]),
    dilations: pair(from, 'dilations', [1, 1]),
    pads: pads(from),
    groups: from.number('groups', 1),
  }),
  batch_norm: (from, rest) => ({
    ...rest,
    kind: 'batchNorm',
    x: from.tensor('x'),
    mean: from.tensor('mean'),
    variance: from.tensor('variance'),
    gamma: from.optional('gamma'),
    beta: from.optional('beta'),
    epsilon: from.number('epsilon', 1e-5),
  }),
  max_pool: (from, rest) => ({ ...rest, kind: 'maxPool', ...window(from) }),
  avg_pool: (from, rest) => ({
    ...rest,
    kind: 'avgPool',
    ...window(from),
    countsPadding: !from.flag('exclude_padding_from_average', false),
  }),
  reduce_mean: (from, rest) => ({
    ...rest,
    kind: 'mean',
    x: from.tensor('x'),
    axes: from.numbers('axes', [...from.shape('x').keys()]),
    keepDims: from.flag('keep_dims', false),
  }),
  reshape: (from, rest) => ({ ...rest, kind: 'reshape', x: from.tensor('x'), shape: from.numbers('shape') }),
  squeeze(from, rest) {
    const shape = from.shape('x');
    const axes = from.has('axes')
      ? from.numbers('axes').map((axis) => (axis < 0 ? axis + shape.length : axis))
      : [...shape.keys()].filter((axis) => shape[axis] === 1);
    const odd = axes.find((axis) => shape[axis] !== 1);
    if (odd !== undefined) throw from.fail(`axis ${odd} of [${shape.join(', ')}] is not 1`);
    return { ...rest, kind: 'reshape', x: from.tensor('x'), shape: shape.filter((_, axis) => !axes.includes(axis)) };
  },
  expand_dims(from, rest) {
    const given = from.numbers('axes');
    const rank = from.shape('x').length + given.length;
    const axes = given.map((axis) => (axis < 0 ? axis + rank : axis));
    const sides = [...from.shape('x')];
    const shape = Array.from({ length: rank }, (_, axis) => (axes.includes(axis) ? 1 : sides.shift()));
    if (sides.length > 0 || shape.includes(undefined)) throw from.fail(`its axes are [${given.join(', ')}]`);
    return { ...rest, kind: 'reshape', x: from.tensor('x'), shape: shape.map((side) => side!) };
  },
  transpose: (from, rest) => ({ ...rest, kind: 'transpose', x: from.tensor('x'), order: from.numbers('perm') }),
  concat(from, rest) {
    if (from.flag('interleave', false)) throw from.fail('“interleave”');
    return { ...rest, kind: 'concat', inputs: from.tensors('values'), axis: from.number('axis') };
  },
  linear: (from, rest) => ({
    ...rest,
    kind: 'linear',
    x: from.tensor('x'),
    weight: from.tensor('weight'),
    bias: from.optional('bias'),
  }),
  /** By a constant matrix on the right. */
  matmul(from, rest) {
    if (from.flag('transpose_x', false)) throw from.fail('“transpose_x”');
    const weight = from.flag('transpose_y', false) ? from.tensor('y') : from.transposed('y');
    return { ...rest, kind: 'linear', x: from.tensor('x'), weight, bias: null };
  },
  softmax: (from, rest) => ({ ...rest, kind: 'softmax', x: from.tensor('x'), axis: from.number('axis', -1) }),
};
