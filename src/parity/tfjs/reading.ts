import { UnreadableModelError } from '../errors.ts';
import type { Operation, Tensor } from '../types.ts';
import { attributesOf, type Attributes } from './attributes.ts';
import type { ModelFiles, Node } from './modelFiles.ts';
import type { StoredTensor } from './weights.ts';

/** What a node gives. Shapes are TensorFlow's, `[1,H,W,C]` or `[1,C]`; a value of four axes lies in our operations as `[1,C,H,W]`. */
export interface Value {
  readonly name: string;
  readonly shape: readonly number[];
  /** No number of it can be below 0: it comes out of a ReLU. */
  readonly nonNegative?: boolean;
  /** A border that the next operation puts around it: our language has no operation for a border alone. */
  readonly border?: { readonly pads: readonly [number, number, number, number]; readonly value: number };
}

/** An operation without what is the same in all of them: TensorFlow.js calculates in float32. */
export type Plain = Operation extends infer Each
  ? Each extends Operation
    ? Omit<Each, 'name' | 'rounding'>
    : never
  : never;

/** What the reading of one node may use. Inputs are counted from 0, control inputs left out. */
export interface Reading {
  readonly node: Node;
  readonly attributes: Attributes;
  readonly inputs: number;
  /** An input that depends on the image, without a border. */
  value(input: number): Value;
  /** The same, which may have one. */
  bordered(input: number): Value;
  /** An input that is stored; null where it is none. */
  constant(input: number): Tensor | null;
  /** An input that is stored, or an error. */
  stored(input: number, what: string): Tensor;
  /** Name of a constant of the model: a stored input in the layout `how` of our operations. */
  put(input: number, how: string, tensor: Tensor): string;
  /** Adds an operation; `step` where it isn't the node's last one. */
  emit(plain: Plain, shape: readonly number[], step?: string): Value;
  fail(why: string): never;
}

/** NHWC's axes in NCHW. */
export const axisInOurs = [0, 2, 3, 1] as const;

export interface Walk {
  readonly operations: readonly Operation[];
  readonly constants: ReadonlyMap<string, Tensor>;
  /** Of all that was put in. */
  readonly storage: ReadonlySet<StoredTensor['stored']>;
  /** What a node gives, read with all that it needs; `reference`: `name` or `name:0`. */
  valueOf(reference: string): Value;
}

/** Reads a graph from its outputs on: what no output needs is left alone. */
export function walk(files: ModelFiles, read: (reading: Reading) => Value): Walk {
  const byName = new Map(files.nodes.map((node) => [node.name, node]));
  const values = new Map<string, Value>();
  const begun = new Set<string>();
  const operations: Operation[] = [];
  const constants = new Map<string, Tensor>();
  const storage = new Set<StoredTensor['stored']>();

  function nodeOf(reference: string): Node {
    const [name, output = '0'] = reference.split(':') as [string, string?];
    const node = byName.get(name);
    if (node === undefined) throw new UnreadableModelError(`The graph has no node ${name}.`);
    if (output !== '0')
      throw new UnreadableModelError(`Only the first output of ${name} can be read, not ${reference}.`);
    // Copies: what they give is what they get.
    if (['Identity', 'StopGradient', 'Snapshot'].includes(node.op)) return nodeOf(node.input?.[0] ?? '');
    return node;
  }

  function storedIn(node: Node): StoredTensor | null {
    if (node.op !== 'Const') return null;
    const tensor = files.weights.get(node.name);
    if (tensor === undefined) throw new UnreadableModelError(`There are no weights for ${node.name}.`);
    return tensor;
  }

  function valueOf(reference: string): Value {
    const node = nodeOf(reference);
    const known = values.get(node.name);
    if (known !== undefined) return known;
    if (begun.has(node.name)) throw new UnreadableModelError(`${node.name} needs its own output.`);
    begun.add(node.name);
    const value = read(readingOf(node));
    values.set(node.name, value);
    return value;
  }

  function readingOf(node: Node): Reading {
    const inputs = (node.input ?? []).filter((name) => !name.startsWith('^'));
    const fail = (why: string): never => {
      throw new UnreadableModelError(`The operation ${node.op} “${node.name}” can’t be read: ${why}.`);
    };
    const inputOf = (input: number): string => inputs[input] ?? fail(`it has no input ${input}`);
    const reading: Reading = {
      node,
      attributes: attributesOf(node),
      inputs: inputs.length,
      bordered: (input) => valueOf(inputOf(input)),
      value(input) {
        const value = reading.bordered(input);
        return value.border === undefined ? value : fail('a border stands before it');
      },
      constant: (input) => storedIn(nodeOf(inputOf(input))),
      stored: (input, what) => reading.constant(input) ?? fail(`its ${what} isn’t stored`),
      put(input, how, tensor) {
        const origin = nodeOf(inputOf(input));
        storage.add(storedIn(origin)?.stored ?? 'float32');
        // No name of TensorFlow's has a blank.
        const name = `${origin.name} ${how}`;
        constants.set(name, tensor);
        return name;
      },
      emit(plain, shape, step) {
        const name = step === undefined ? node.name : `${node.name} ${step}`;
        operations.push({ ...plain, name, rounding: 'float32' } as Operation);
        return { name, shape };
      },
      fail,
    };
    return reading;
  }
  return { operations, constants, storage, valueOf };
}
