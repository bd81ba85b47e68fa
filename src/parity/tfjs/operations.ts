import type { Tensor } from '../types.ts';
import { convolution, matrixProduct } from './products.ts';
import { axisInOurs, type Reading, type Value } from './reading.ts';
import { borderOf, checkFormat, sizesOf, windowOf } from './windows.ts';

/**
 * What TensorFlow's operations mean in the interpreter's language: tensorflow/core/ops/*.cc, and what TensorFlow.js takes of them,
 * tfjs-converter/src/operations/op_list. A table from the operation's name.
 */
export const operations: Readonly<Record<string, (reading: Reading) => Value>> = {
  Conv2D: (reading) => convolution(reading, false),
  _FusedConv2D: (reading) => convolution(reading, false),
  DepthwiseConv2dNative: (reading) => convolution(reading, true),
  FusedDepthwiseConv2dNative: (reading) => convolution(reading, true),
  MatMul: matrixProduct,
  _FusedMatMul: matrixProduct,
  Add: (reading) => binary(reading, 'add'),
  AddV2: (reading) => binary(reading, 'add'),
  BiasAdd(reading) {
    checkFormat(reading);
    return binary(reading, 'add');
  },
  Sub: (reading) => binary(reading, 'sub'),
  Mul: (reading) => binary(reading, 'mul'),
  Div: (reading) => binary(reading, 'div'),
  RealDiv: (reading) => binary(reading, 'div'),
  Maximum: (reading) => binary(reading, 'max'),
  Minimum: (reading) => binary(reading, 'min'),
  Relu(reading) {
    const { name: x, shape } = reading.value(0);
    return { ...reading.emit({ kind: 'relu', x }, shape), nonNegative: true };
  },
  Relu6(reading) {
    const { name: x, shape } = reading.value(0);
    return { ...reading.emit({ kind: 'clip', x, low: 0, high: 6 }, shape), nonNegative: true };
  },
  ClipByValue(reading) {
    const { name: x, shape } = reading.value(0);
    const [low, high] = [1, 2].map((input) => reading.stored(input, 'bound').data[0] as number) as [number, number];
    return { ...reading.emit({ kind: 'clip', x, low, high }, shape), nonNegative: low >= 0 };
  },
  FusedBatchNorm: batchNorm,
  FusedBatchNormV2: batchNorm,
  FusedBatchNormV3: batchNorm,
  Pad: (reading) => border(reading, 0),
  PadV2: (reading) => border(reading, reading.stored(2, 'number').data[0] as number),
  MaxPool: maxPool,
  AvgPool: averagePool,
  Mean: mean,
  Reshape(reading) {
    const { shape } = reading.value(0);
    const wanted = [...reading.stored(1, 'shape').data];
    const known = wanted.reduce((product, size) => (size < 0 ? product : product * size), 1);
    const all = shape.reduce((product, size) => product * size, 1);
    return reshaped(
      reading,
      wanted.map((size) => (size < 0 ? all / known : size)),
    );
  },
  Squeeze(reading) {
    const { shape } = reading.value(0);
    const given = reading.attributes.integers('squeeze_dims') ?? reading.attributes.integers('axis') ?? [];
    const axes = given.map((axis) => (axis < 0 ? axis + shape.length : axis));
    const goes = (size: number, axis: number) => (axes.length === 0 ? axis > 0 && size === 1 : axes.includes(axis));
    return reshaped(
      reading,
      shape.filter((size, axis) => !goes(size, axis)),
    );
  },
  ConcatV2(reading) {
    const last = reading.inputs - 1;
    const values = Array.from({ length: last }, (_, input) => reading.value(input));
    const [first] = values;
    if (first === undefined) return reading.fail('it has no inputs');
    const axis = axisOf(reading, reading.stored(last, 'axis').data[0] as number, first.shape);
    const others = ({ shape }: Value) => shape.filter((_, at) => at !== axis).join();
    if (values.some((value) => others(value) !== others(first))) reading.fail('its inputs differ in shape');
    const shape = first.shape.map((size, at) =>
      at === axis ? values.reduce((sum, value) => sum + (value.shape[axis] as number), 0) : size,
    );
    const inputs = values.map(({ name }) => name);
    const joined = reading.emit({ kind: 'concat', inputs, axis: ours(axis, shape) }, shape);
    return { ...joined, nonNegative: values.every((value) => value.nonNegative === true) };
  },
  Softmax(reading) {
    const { name: x, shape } = reading.value(0);
    return reading.emit({ kind: 'softmax', x, axis: ours(shape.length - 1, shape) }, shape);
  },
};

/** An axis of TensorFlow's in our layout. */
function ours(axis: number, shape: readonly number[]): number {
  return shape.length === 4 ? (axisInOurs[axis] as number) : axis;
}

function axisOf(reading: Reading, axis: number, shape: readonly number[]): number {
  const found = axis < 0 ? axis + shape.length : axis;
  return found >= 0 && found < shape.length ? found : reading.fail(`it has no axis ${axis}`);
}

function binary(reading: Reading, kind: 'add' | 'sub' | 'mul' | 'div' | 'max' | 'min'): Value {
  const constants = [reading.constant(0), reading.constant(1)] as const;
  const live = [0, 1].filter((input) => constants[input as 0 | 1] === null);
  if (live.length === 0) return reading.fail('both of its inputs are stored');
  const rank = Math.max(...live.map((input) => reading.value(input).shape.length));
  const [x, y] = ([0, 1] as const).map((input): { name: string; shape: readonly number[] } => {
    const constant = constants[input];
    if (constant === null) {
      const value = reading.value(input);
      return value.shape.length === rank ? value : reading.fail('its inputs differ in the number of their axes');
    }
    if (constant.shape.length > rank) return reading.fail('a stored input has more axes than what it is combined with');
    const shape = [...Array<number>(rank - constant.shape.length).fill(1), ...constant.shape];
    if (rank !== 4) return { name: reading.put(input, 'as it is', constant), shape };
    return { name: reading.put(input, 'channels first', channelsFirst(shape, constant.data)), shape };
  }) as [Value, Value];
  const shape = x.shape.map((size, axis) => {
    const other = y.shape[axis] as number;
    if (size !== other && size !== 1 && other !== 1) reading.fail('its inputs’ shapes don’t fit');
    return size === 1 ? other : size;
  });
  return reading.emit({ kind, x: x.name, y: y.name }, shape);
}

/** `[N,H,W,C]` → `[N,C,H,W]`. */
function channelsFirst(shape: readonly number[], data: Float32Array): Tensor {
  const [n, h, w, c] = shape as [number, number, number, number];
  const result = new Float32Array(data.length);
  for (let image = 0; image < n; image++) {
    for (let place = 0; place < h * w; place++) {
      for (let channel = 0; channel < c; channel++) {
        result[(image * c + channel) * h * w + place] = data[(image * h * w + place) * c + channel] as number;
      }
    }
  }
  return { shape: [n, c, h, w], data: result };
}

function batchNorm(reading: Reading): Value {
  const { name: x, shape } = reading.value(0);
  const { attributes, fail } = reading;
  if (attributes.flag('is_training') === true) fail('it is in training');
  checkFormat(reading);
  const epsilon = attributes.number('epsilon') ?? fail('it has no epsilon');
  const [gamma, beta, average, variance] = ['scale', 'offset', 'mean', 'variance'].map((what, i) =>
    reading.put(i + 1, 'as it is', reading.stored(i + 1, what)),
  ) as [string, string, string, string];
  return reading.emit({ kind: 'batchNorm', x, mean: average, variance, gamma, beta, epsilon }, shape);
}

function border(reading: Reading, value: number): Value {
  const x = reading.value(0);
  const paddings = reading.stored(1, 'paddings');
  const [n0, n1, top, bottom, left, right, c0, c1] = paddings.data;
  if (x.shape.length !== 4 || paddings.data.length !== 8) return reading.fail('its input hasn’t four axes');
  if (n0 !== 0 || n1 !== 0 || c0 !== 0 || c1 !== 0) return reading.fail('it adds images or channels');
  const pads = [top, bottom, left, right] as [number, number, number, number];
  if (pads.some((pad) => !(Number.isInteger(pad) && pad >= 0)))
    return reading.fail(`its paddings are ${pads.join(', ')}`);
  return { ...x, border: { pads, value } };
}

/** Lower than any float32 but −∞, or 0 around what has none below: such a border is never what a window's maximum is, or is it rightly. */
function maxPool(reading: Reading): Value {
  const x = reading.bordered(0);
  const lowest = -3.4028234663852886e38;
  const pads =
    borderOf(x, (value) => value <= lowest || (value === 0 && x.nonNegative === true)) ??
    reading.fail('the border before it could be higher than what it surrounds');
  return { ...pool(reading, x, 'maxPool', pads), nonNegative: x.nonNegative === true };
}

/** TensorFlow leaves what SAME adds out of the average. */
function averagePool(reading: Reading): Value {
  const x = reading.value(0);
  return { ...pool(reading, x, 'avgPool', [0, 0, 0, 0]), nonNegative: x.nonNegative === true };
}

function pool(
  reading: Reading,
  { name: x, shape: [, height, width, channels] }: Value,
  kind: 'maxPool' | 'avgPool',
  added: readonly [number, number, number, number],
): Value {
  checkFormat(reading);
  const kernel = sizesOf(reading, 'ksize') ?? reading.fail('it has no ksize');
  if (sizesOf(reading, 'dilations')?.some((step) => step !== 1) === true) reading.fail('its window has gaps');
  if (reading.attributes.text('padding') === 'EXPLICIT') reading.fail('TensorFlow.js has no such padding');
  const { strides, pads, size } = windowOf(reading, [height as number, width as number], added, kernel);
  const shape = [1, ...size, channels as number];
  return kind === 'maxPool'
    ? reading.emit({ kind, x, kernel, strides, pads }, shape)
    : reading.emit({ kind, x, kernel, strides, pads, countsPadding: false }, shape);
}

function mean(reading: Reading): Value {
  const { name: x, shape } = reading.value(0);
  const axes = [...reading.stored(1, 'axes').data].map((axis) => axisOf(reading, axis, shape));
  const keepDims = reading.attributes.flag('keep_dims') === true;
  if (shape.length === 4 && !keepDims && axes.toSorted((a, b) => a - b).join() !== '1,2') {
    return reading.fail('it is over other axes than height and width');
  }
  const left = keepDims
    ? shape.map((size, axis) => (axes.includes(axis) ? 1 : size))
    : shape.filter((_, axis) => !axes.includes(axis));
  return reading.emit({ kind: 'mean', x, axes: axes.map((axis) => ours(axis, shape)), keepDims }, left);
}

/** In the order in which TensorFlow has the numbers: channels last. */
function reshaped(reading: Reading, wanted: readonly number[]): Value {
  const from = reading.value(0);
  const size = (shape: readonly number[]) => shape.reduce((product, extent) => product * extent, 1);
  if (size(wanted) !== size(from.shape)) return reading.fail(`${from.shape.join(' × ')} aren’t ${wanted.join(' × ')}`);
  if (wanted[0] !== 1) return reading.fail('it mixes images');
  const nonNegative = from.nonNegative === true;
  /** Whether channels first and channels last are the same order. */
  const same = ([, height = 1, width = 1, channels = 1]: readonly number[]) => height * width === 1 || channels === 1;
  let x = from.name;
  if (from.shape.length === 4 && !same(from.shape)) {
    x = reading.emit({ kind: 'transpose', x, order: [0, 2, 3, 1] }, from.shape, 'channels last').name;
  }
  if (wanted.length !== 4) return { ...reading.emit({ kind: 'reshape', x, shape: wanted }, wanted), nonNegative };
  const [n, height, width, channels] = wanted as [number, number, number, number];
  if (same(wanted)) {
    return { ...reading.emit({ kind: 'reshape', x, shape: [n, channels, height, width] }, wanted), nonNegative };
  }
  x = reading.emit({ kind: 'reshape', x, shape: wanted }, wanted, 'channels last again').name;
  return { ...reading.emit({ kind: 'transpose', x, order: [0, 3, 1, 2] }, wanted), nonNegative };
}
