import { UnreadableModelError } from '../errors.ts';
import type { Operation, Rounding } from '../types.ts';
import type { AttributeValue, OnnxNode } from './model.ts';
import type { Constant } from './tensors.ts';

/** What is known of the values before a node. */
export interface Scope {
  readonly opset: number;
  /** Of a value's or constant's elements. */
  typeOf(name: string): Rounding;
  /** Null where the value is none. */
  constant(name: string): Constant | null;
  /** Makes a new constant; returns its name. */
  add(hint: string, constant: Constant): string;
  /** A name that nothing has yet. */
  unique(hint: string): string;
}

/**
 * The operations that stand for a node, after onnx/docs/Operators.md and Changelog.md (opsets 13 to 22); the last one has the name of its
 * output. An operator or an attribute that isn't known here is an `UnreadableModelError`.
 */
export function operationsOf(node: OnnxNode, scope: Scope): readonly Operation[] {
  const { inputs } = node;
  const read = reader(node);
  const [name] = node.outputs as [string];
  const operations = operationsWith(node, read, scope, {
    name,
    rounding: scope.typeOf(inputs[0] ?? ''),
  });
  read.end();
  return operations;
}

function operationsWith(
  node: OnnxNode,
  read: Reader,
  scope: Scope,
  base: { readonly name: string; readonly rounding: Rounding },
): readonly Operation[] {
  const { name } = base;
  const x = read.input(0);
  switch (node.type) {
    case 'Conv': {
      const weight = read.input(1);
      const shape = read.known(scope.constant(weight), 'its filters').shape;
      read.expect('kernel_shape', shape.slice(2));
      const window = windowOf(read);
      const [dilations, groups] = [read.pair('dilations', [1, 1]), read.number('group', 1)];
      return [{ ...base, kind: 'conv', x, weight, bias: read.optional(2), ...window, dilations, groups }];
    }
    case 'BatchNormalization': {
      read.expect('training_mode', 0);
      read.ignore('momentum');
      const [gamma, beta, mean, variance] = [1, 2, 3, 4].map(read.input) as [string, string, string, string];
      return [{ ...base, kind: 'batchNorm', x, gamma, beta, mean, variance, epsilon: read.number('epsilon', 1e-5) }];
    }
    case 'Add':
    case 'Sub':
    case 'Mul':
    case 'Div':
      return [{ ...base, kind: binaryOf[node.type], x, y: read.input(1) }];
    case 'Max':
    case 'Min':
      if (node.inputs.length !== 2) throw read.fail(`takes ${node.inputs.length} values`);
      return [{ ...base, kind: binaryOf[node.type], x, y: read.input(1) }];
    case 'Relu':
      return [{ ...base, kind: 'relu', x }];
    case 'Identity':
      return [{ ...base, kind: 'identity', x }];
    case 'Dropout':
      // Without a third input, and with a false one, it drops nothing.
      if (read.optional(2) !== null) throw read.fail('may be in training mode');
      read.ignore('seed');
      return [{ ...base, kind: 'identity', x }];
    case 'Cast': {
      const to = read.number('to', 0);
      if (to !== 1 && to !== 10) throw read.fail(`casts to type ${to}`);
      return [{ ...base, kind: 'identity', x, rounding: to === 1 ? 'float32' : 'float16' }];
    }
    case 'Clip': {
      const bound = (index: number, none: number) => {
        const given = read.optional(index);
        return given === null ? none : read.scalar(scope.constant(given));
      };
      return [{ ...base, kind: 'clip', x, low: bound(1, -Infinity), high: bound(2, Infinity) }];
    }
    case 'HardSigmoid': {
      const [alpha, beta] = [read.number('alpha', Math.fround(0.2)), read.number('beta', 0.5)];
      return [{ ...base, kind: 'hardSigmoid', x, alpha, beta }];
    }
    case 'HardSwish': {
      // x · max(0, min(1, x/6 + 1/2)), in one go: the gate is not rounded.
      const gate = scope.unique(`${name}/gate`);
      return [
        { kind: 'hardSigmoid', name: gate, rounding: 'float32', x, alpha: 1 / 6, beta: 0.5 },
        { ...base, kind: 'mul', x, y: gate },
      ];
    }
    case 'MaxPool':
      read.expect('storage_order', 0);
      return [{ ...base, kind: 'maxPool', x, ...poolOf(read) }];
    case 'AveragePool': {
      const countsPadding = read.number('count_include_pad', 0) !== 0;
      return [{ ...base, kind: 'avgPool', x, ...poolOf(read), countsPadding }];
    }
    case 'GlobalAveragePool':
      return [{ ...base, kind: 'mean', x, axes: [2, 3], keepDims: true }];
    case 'ReduceMean': {
      // An attribute up to opset 17, an input from 18 on.
      const given = scope.opset < 18 ? read.numbers('axes', []) : read.integers(scope, 1);
      if (given.length === 0) throw read.fail('takes a mean over all or none');
      read.expect('noop_with_empty_axes', 0);
      return [{ ...base, kind: 'mean', x, axes: given, keepDims: read.number('keepdims', 1) !== 0 }];
    }
    case 'Flatten':
      read.expect('axis', 1);
      return [{ ...base, kind: 'reshape', x, shape: [1, -1] }];
    case 'Reshape': {
      read.expect('allowzero', 0);
      // 0 keeps a dimension; the first is the batch, of one image.
      const shape = read.integers(scope, 1).map((side, axis) => (side === 0 && axis === 0 ? 1 : side));
      if (shape.includes(0)) throw read.fail(`reshapes to [${shape.join(', ')}]`);
      return [{ ...base, kind: 'reshape', x, shape: shape[0] === -1 ? [1, ...shape.slice(1)] : shape }];
    }
    case 'Transpose': {
      const order = read.numbers('perm', []);
      if (order.length === 0) throw read.fail('has no perm');
      return [{ ...base, kind: 'transpose', x, order }];
    }
    case 'Concat':
      return [{ ...base, kind: 'concat', inputs: node.inputs, axis: read.number('axis', 0) }];
    case 'Pad': {
      // torch.onnx writes one of nothing before each AveragePool.
      if (read.integers(scope, 1).some((side) => side !== 0)) throw read.fail('pads by more than nothing');
      read.optional(2);
      read.ignore('mode');
      return [{ ...base, kind: 'identity', x }];
    }
    case 'Gemm': {
      for (const [key, value] of [
        ['alpha', 1],
        ['beta', 1],
        ['transA', 0],
      ] as const)
        read.expect(key, value);
      const weight = matrix(read, scope, read.input(1), read.number('transB', 0) === 0);
      return [{ ...base, kind: 'linear', x, weight, bias: read.optional(2) }];
    }
    case 'MatMul':
      return [{ ...base, kind: 'linear', x, weight: matrix(read, scope, read.input(1), true), bias: null }];
    case 'Softmax':
      return [{ ...base, kind: 'softmax', x, axis: read.number('axis', -1) }];
  }
  throw read.fail('is not known here');
}

const binaryOf = { Add: 'add', Sub: 'sub', Mul: 'mul', Div: 'div', Max: 'max', Min: 'min' } as const;

/** pads: ONNX has [top, left, bottom, right]. */
function windowOf(read: Reader) {
  read.expect('auto_pad', 'NOTSET');
  const given = read.numbers('pads', [0, 0, 0, 0]);
  if (given.length !== 4) throw read.fail(`has ${given.length} pads`);
  const [top, left, bottom, right] = given as [number, number, number, number];
  return { strides: read.pair('strides', [1, 1]), pads: [top, bottom, left, right] } as const;
}

function poolOf(read: Reader) {
  read.expect('ceil_mode', 0);
  read.expect('dilations', [1, 1]);
  return { kernel: read.pair('kernel_shape', null), ...windowOf(read) };
}

/** Name of a weight `[out, in]`; `turned`: it lies in the file as `[in, out]`. */
function matrix(read: Reader, scope: Scope, name: string, turned: boolean): string {
  const { type, shape, data } = read.known(scope.constant(name), 'its matrix');
  if (shape.length !== 2) throw read.fail(`has a matrix of [${shape.join(', ')}]`);
  if (!turned) return name;
  const [rows, columns] = shape as [number, number];
  const out = new Float32Array(data.length);
  for (let row = 0; row < rows; row++)
    for (let column = 0; column < columns; column++) out[column * rows + row] = data[row * columns + column]!;
  return scope.add(`${name}/turned`, { type, shape: [columns, rows], data: out });
}

type Reader = ReturnType<typeof reader>;

/** A node's inputs and attributes; `end` refuses it if it has some that nobody asked for. */
function reader(node: OnnxNode) {
  const asked = new Set<string>();
  const inputsAsked = new Set<number>();
  const fail = (why: string) => new UnreadableModelError(`The ${node.type} “${node.name}” of the ONNX file ${why}.`);
  const attribute = (key: string): AttributeValue | undefined => {
    asked.add(key);
    return node.attributes.get(key);
  };
  const number = (key: string, otherwise: number): number => {
    const value = attribute(key) ?? otherwise;
    if (typeof value !== 'number') throw fail(`has a ${key} that is no number`);
    return value;
  };
  const numbers = (key: string, otherwise: readonly number[] | null): readonly number[] => {
    const value = attribute(key) ?? otherwise;
    if (!Array.isArray(value)) throw fail(value === null ? `has no ${key}` : `has a ${key} that is no list`);
    return value as readonly number[];
  };
  const optional = (index: number): string | null => {
    inputsAsked.add(index);
    const input = node.inputs[index];
    return input === undefined || input === '' ? null : input;
  };
  const input = (index: number): string => {
    const given = optional(index);
    if (given === null) throw fail(`lacks input ${index + 1}`);
    return given;
  };
  const known = (constant: Constant | null, what: string): Constant => {
    if (constant === null) throw fail(`computes ${what}, which the file has to hold`);
    return constant;
  };
  return {
    fail,
    number,
    numbers,
    input,
    optional,
    known,
    ignore: (key: string) => void attribute(key),
    pair(key: string, otherwise: readonly number[] | null): readonly [number, number] {
      const value = numbers(key, otherwise);
      if (value.length !== 2) throw fail(`is not of two dimensions`);
      return value as unknown as readonly [number, number];
    },
    /** Where it isn't there, it is taken for its default, which is what is expected. */
    expect(key: string, value: AttributeValue) {
      const found = attribute(key) ?? value;
      if (JSON.stringify(found) !== JSON.stringify(value)) throw fail(`has ${key} ${JSON.stringify(found)}`);
    },
    scalar(constant: Constant | null): number {
      const { data } = known(constant, 'a bound');
      if (data.length !== 1) throw fail('has a bound of several numbers');
      return data[0]!;
    },
    /** A constant list of whole numbers. */
    integers(scope: Scope, index: number): readonly number[] {
      const { type, data } = known(scope.constant(input(index)), 'a list of numbers');
      if (type !== 'int64' && type !== 'int32') throw fail(`has a list of ${type}`);
      return Array.from(data);
    },
    end() {
      if (node.outputs.filter((output) => output !== '').length !== 1) throw fail('has several outputs');
      const attribute = [...node.attributes.keys()].find((key) => !asked.has(key));
      if (attribute !== undefined) throw fail(`has an attribute ${attribute}, which is not known here`);
      if (node.type === 'Concat') return;
      const further = node.inputs.findIndex((name, index) => name !== '' && !inputsAsked.has(index));
      if (further >= 0) throw fail(`has an input ${further + 1}, which is not known here`);
    },
  };
}
