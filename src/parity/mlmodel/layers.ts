import type { Message } from '../protobuf.ts';
import type { Layer, Value } from './layer.ts';

/** A kind of layer: the fields of its parameters that are known here, and what they mean. */
interface LayerType {
  readonly fields: readonly number[];
  read(layer: Layer): Value;
}

/**
 * Layers of NeuralNetwork.proto, by the number of their field in `NeuralNetworkLayer`. “Channel, height, width” are the axes −3, −2, −1.
 * Field numbers and what they mean by the comments of that file; a field that isn't known here is refused.
 */
export const layers: Readonly<Record<number, LayerType>> = {
  100: { fields: [1, 2, 10, 20, 30, 40, 50, 70, 90, 91], read: convolution },
  120: { fields: [1, 10, 20, 30, 50, 60], read: pooling },
  // One of these functions.
  130: { fields: [5, 10, 15, 20, 25, 30, 31, 40, 41, 50, 60, 70, 71], read: activation },
  140: { fields: [1, 2, 10, 20, 21], read: innerProduct },
  160: { fields: [1, 10, 15, 16, 17, 18], read: batchNorm },
  // softmax, along the channels
  175: { fields: [], read: (layer) => softmax(layer, -3) },
  230: { fields: [1], read: (layer) => combined(layer, 'add') },
  231: { fields: [1], read: (layer) => combined(layer, 'mul') },
  245: { fields: [1, 2, 3, 4, 5], read: scale },
  // flatten: 1 is channels last
  301: {
    fields: [1],
    read(layer) {
      if (layer.parameters.int(1) !== 0) throw layer.fail('it flattens channels last');
      return reshaped(layer, layer.input(3), [1, -1, 1, 1]);
    },
  },
  320: {
    fields: [100],
    read(layer) {
      if (layer.parameters.bool(100)) throw layer.fail('it joins sequences');
      return concatenated(layer, -3);
    },
  },
  // copy
  600: {
    fields: [],
    read: (layer) => layer.emit((name) => ({ kind: 'identity', name, x: layer.input().name }), layer.input().rank),
  },
  880: { fields: [], read: (layer) => ofTwo(layer, 'add') },
  890: { fields: [], read: (layer) => ofTwo(layer, 'div') },
  900: { fields: [], read: (layer) => ofTwo(layer, 'mul') },
  905: { fields: [], read: (layer) => ofTwo(layer, 'sub') },
  // softmaxND
  950: { fields: [1], read: (layer) => softmax(layer, layer.parameters.int(1)) },
  // concatND
  980: {
    fields: [1, 2],
    read(layer) {
      if (layer.parameters.bool(2)) throw layer.fail('it interleaves');
      return concatenated(layer, layer.parameters.int(1));
    },
  },
  // loadConstantND
  1070: {
    fields: [1, 2],
    read(layer) {
      const shape = layer.parameters.ints(1);
      return { name: layer.weights(2, 'data', 1, shape), rank: shape.length };
    },
  },
  // reshapeStatic
  1140: { fields: [1], read: (layer) => reshaped(layer, layer.input(), layer.parameters.ints(1)) },
  // reduceMean
  1280: {
    fields: [1, 2],
    read(layer) {
      const { name: x, rank } = layer.input();
      const [axes, keepDims] = [layer.parameters.ints(1), layer.parameters.bool(2)];
      return layer.emit((name) => ({ kind: 'mean', name, x, axes, keepDims }), keepDims ? rank : rank - axes.length);
    },
  },
};

function convolution(layer: Layer): Value {
  const { parameters: p, fail } = layer;
  const [out, channels] = [p.int(1), p.int(2)];
  const kernel = pair(layer, 20, 3);
  const weight = layer.weights(90, 'weights', out, [out, channels, ...kernel]);
  const hasBias = p.bool(70);
  if (!hasBias && p.has(91)) throw fail('it has a bias and says that it has none');
  const bias = hasBias ? layer.weights(91, 'bias', 1, [out]) : null;
  return layer.emit(
    (name) => ({
      kind: 'conv',
      name,
      x: layer.input(4).name,
      weight,
      bias,
      strides: pair(layer, 30, 1),
      dilations: pair(layer, 40, 1),
      pads: validPadding(layer, p.message(50)),
      groups: p.int(10) || 1,
    }),
    4,
  );
}

function pooling(layer: Layer): Value {
  const { parameters: p, fail } = layer;
  const x = layer.input(4).name;
  const type = p.int(1);
  if (type !== 0 && type !== 1) throw fail(`pooling of type ${type}`);
  if (p.bool(60)) {
    if (type === 0) throw fail('a maximum over all of the image');
    return layer.emit((name) => ({ kind: 'mean', name, x, axes: [-2, -1], keepDims: true }), 4);
  }
  const window = {
    x,
    kernel: pair(layer, 10, 3),
    strides: pair(layer, 20, 1),
    pads: validPadding(layer, p.message(30)),
  };
  return layer.emit(
    (name) =>
      type === 0
        ? { kind: 'maxPool', name, ...window }
        : { kind: 'avgPool', name, ...window, countsPadding: !p.bool(50) },
    4,
  );
}

function activation(layer: Layer): Value {
  const { parameters, fail } = layer;
  const { name: x, rank } = layer.input();
  const [kind] = parameters.fields;
  const chosen = kind === undefined ? null : parameters.message(kind);
  if (kind === undefined || chosen === null || parameters.fields.length > 1)
    throw fail('it does not say which function');
  chosen.allow(`“${layer.name}”`, ...(kind === 10 ? [] : kind === 20 ? [1] : [1, 2]));
  const [first, second] = [chosen.float(1), chosen.float(2)];
  switch (kind) {
    case 5: {
      // linear: first · x + second
      const factor = layer.constant('alpha', [1], Float32Array.of(first));
      const product = layer.emit((name) => ({ kind: 'mul', name, x, y: factor }), rank, 'product').name;
      const shift = layer.constant('beta', [1], Float32Array.of(second));
      return layer.emit((name) => ({ kind: 'add', name, x: product, y: shift }), rank);
    }
    case 10:
      return layer.emit((name) => ({ kind: 'relu', name, x }), rank);
    case 20:
      return layer.emit((name) => ({ kind: 'threshold', name, x, alpha: first, below: 'zero' }), rank);
    case 41:
      return layer.emit((name) => ({ kind: 'hardSigmoid', name, x, alpha: first, beta: second }), rank);
    default:
      throw fail(`activation function ${kind} is not known here`);
  }
}

/** Of four axes: the last three are one vector, and so is the result, `[1,C,1,1]`. */
function innerProduct(layer: Layer): Value {
  const { parameters: p, fail } = layer;
  const [channels, out] = [p.int(1), p.int(2)];
  const input = layer.input(2);
  if (input.rank === 3) throw fail('a matrix of rows in place of a vector');
  const x = input.rank === 2 ? input : reshaped(layer, input, [1, -1], 'row');
  const weight = layer.weights(20, 'weights', out, [out, channels]);
  const hasBias = p.bool(10);
  if (!hasBias && p.has(21)) throw fail('it has a bias and says that it has none');
  const bias = hasBias ? layer.weights(21, 'bias', 1, [out]) : null;
  const hint = input.rank === 2 ? undefined : 'product';
  const product = layer.emit((name) => ({ kind: 'linear', name, x: x.name, weight, bias }), 2, hint);
  return input.rank === 2 ? product : reshaped(layer, product, [1, out, 1, 1]);
}

function batchNorm(layer: Layer): Value {
  const { parameters: p } = layer;
  const shape = [p.int(1)];
  const [gamma, beta, mean, variance] = (['gamma', 'beta', 'mean', 'variance'] as const).map((hint, i) =>
    layer.weights(15 + i, hint, 1, shape),
  ) as [string, string, string, string];
  const x = layer.input(4).name;
  // 0 and nothing are the same, and mean 1e-5.
  const epsilon = p.float(10) || Math.fround(1e-5);
  return layer.emit((name) => ({ kind: 'batchNorm', name, x, mean, variance, gamma, beta, epsilon }), 4);
}

function scale(layer: Layer): Value {
  const { parameters: p } = layer;
  const x = layer.input(3);
  const factor = layer.weights(2, 'scale', 1, perChannel(p.ints(1)));
  const hasBias = p.bool(3);
  const product = layer.emit(
    (name) => ({ kind: 'mul', name, x: x.name, y: factor }),
    x.rank,
    hasBias ? 'product' : undefined,
  );
  if (!hasBias) return product;
  const bias = layer.weights(5, 'bias', 1, perChannel(p.ints(4)));
  return layer.emit((name) => ({ kind: 'add', name, x: product.name, y: bias }), x.rank);
}

/** `[C]` is `[C, 1, 1]`, `[C, H, W]` is itself. */
const perChannel = (shape: readonly number[]) => (shape.length === 1 ? [...shape, 1, 1] : shape);

/** Of one input: with a number. Of more: one after the other. */
function combined(layer: Layer, kind: 'add' | 'mul'): Value {
  const [first, ...others] = layer.inputs;
  if (first === undefined) throw layer.fail('it has no input');
  if (others.length === 0) {
    const y = layer.constant('alpha', [1], Float32Array.of(layer.parameters.float(1)));
    return layer.emit((name) => ({ kind, name, x: first.name, y }), first.rank);
  }
  return others.reduce((value, other, i) => {
    const hint = i === others.length - 1 ? undefined : `${i}`;
    return layer.emit((name) => ({ kind, name, x: value.name, y: other.name }), Math.max(value.rank, other.rank), hint);
  }, first);
}

function ofTwo(layer: Layer, kind: 'add' | 'mul' | 'sub' | 'div'): Value {
  const [x, y, ...others] = layer.inputs;
  if (x === undefined || y === undefined || others.length > 0)
    throw layer.fail(`it has ${layer.inputs.length} of 2 inputs`);
  return layer.emit((name) => ({ kind, name, x: x.name, y: y.name }), Math.max(x.rank, y.rank));
}

function softmax(layer: Layer, axis: number): Value {
  const { name: x, rank } = layer.input();
  return layer.emit((name) => ({ kind: 'softmax', name, x, axis }), rank);
}

function concatenated(layer: Layer, axis: number): Value {
  const inputs = layer.inputs.map(({ name }) => name);
  return layer.emit((name) => ({ kind: 'concat', name, inputs, axis }), layer.inputs[0]?.rank ?? 0);
}

function reshaped(layer: Layer, from: Value, shape: readonly number[], hint?: string): Value {
  return layer.emit((name) => ({ kind: 'reshape', name, x: from.name, shape }), shape.length, hint);
}

/** [height, width] of a field that may be left out. */
function pair({ parameters, fail }: Layer, field: number, otherwise: number): readonly [number, number] {
  const values = parameters.ints(field);
  if (values.length === 0) return [otherwise, otherwise];
  if (values.length !== 2) throw fail(`field ${field} has ${values.length} numbers`);
  return [values[0]!, values[1]!];
}

/** `ValidPadding`: borders of height and width, each at its start and its end. */
function validPadding({ fail }: Layer, valid: Message | null): readonly [number, number, number, number] {
  if (valid === null) throw fail('its padding is of a kind that is not known here');
  const borders = valid.message(1)?.messages(10) ?? [];
  if (borders.length === 0) return [0, 0, 0, 0];
  if (borders.length !== 2) throw fail(`padding of ${borders.length} axes`);
  const [height, width] = borders as [Message, Message];
  return [height.int(1), height.int(2), width.int(1), width.int(2)];
}
