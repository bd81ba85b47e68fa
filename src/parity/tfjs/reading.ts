import { UnreadableModelError } from '../errors.ts';
import type { Pause } from '../pauses.ts';
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
  valueOf(reference: string): Promise<Value>;
}

/** Copies: what they give is what they get. */
const copies = ['Identity', 'StopGradient', 'Snapshot'];

/** Reads a graph from its outputs on: what no output needs is left alone. */
export function walk(files: ModelFiles, read: (reading: Reading) => Value, between?: Pause): Walk {
  const byName = new Map(files.nodes.map((node) => [node.name, node]));
  const values = new Map<string, Value>();
  const operations: Operation[] = [];
  const constants = new Map<string, Tensor>();
  const storage = new Set<StoredTensor['stored']>();

  function nodeOf(reference: string): Node {
    const through = new Set<string>();
    for (let at = reference; ;) {
      const [name, output = '0'] = at.split(':') as [string, string?];
      const node = byName.get(name);
      if (node === undefined) throw new UnreadableModelError(`The graph has no node ${name}.`);
      if (output !== '0') throw new UnreadableModelError(`Only the first output of ${name} can be read, not ${at}.`);
      if (!copies.includes(node.op)) return node;
      if (through.has(name)) throw new UnreadableModelError(`${name} needs its own output.`);
      through.add(name);
      const [from = '', ...more] = inputsOf(node);
      if (more.length > 0 || attributesOf(node).unknown() !== null)
        throw new UnreadableModelError(`The copy ${name} can’t be read: there is more to it than an input.`);
      at = from;
    }
  }

  function storedIn(node: Node): StoredTensor | null {
    if (node.op !== 'Const') return null;
    const unknown = attributesOf(node, 'value').unknown();
    if (unknown !== null)
      throw new UnreadableModelError(`The constant ${node.name} has an attribute ${unknown}, which isn’t known here.`);
    const tensor = files.weights.get(node.name);
    if (tensor === undefined) throw new UnreadableModelError(`There are no weights for ${node.name}.`);
    return tensor;
  }

  /** Not by recursion: a graph may be deeper than the stack. */
  async function valueOf(reference: string): Promise<Value> {
    const wanted = nodeOf(reference);
    const begun = new Set([wanted]);
    for (const path = [wanted]; path.length > 0;) {
      const node = path.at(-1)!;
      const missing = inputsOf(node)
        .map(nodeOf)
        .find(({ name, op }) => op !== 'Const' && !values.has(name));
      if (missing === undefined) {
        path.pop();
        if (!values.has(node.name)) values.set(node.name, readNode(node));
        await between?.();
      } else {
        if (begun.has(missing)) throw new UnreadableModelError(`${missing.name} needs its own output.`);
        begun.add(missing);
        path.push(missing);
      }
    }
    return values.get(wanted.name)!;
  }

  function readNode(node: Node): Value {
    const { reading, checkAllAsked } = readingOf(node);
    const value = read(reading);
    checkAllAsked();
    return value;
  }

  function readingOf(node: Node): { readonly reading: Reading; checkAllAsked(): void } {
    const inputs = inputsOf(node);
    const attributes = attributesOf(node);
    const asked = new Set<number>();
    const fail = (why: string): never => {
      throw new UnreadableModelError(`The operation ${node.op} “${node.name}” can’t be read: ${why}.`);
    };
    const inputOf = (input: number): string => {
      asked.add(input);
      return inputs[input] ?? fail(`it has no input ${input}`);
    };
    const reading: Reading = {
      node,
      attributes,
      inputs: inputs.length,
      bordered(input) {
        const { name, op } = nodeOf(inputOf(input));
        return values.get(name) ?? fail(`${name}, a ${op}, stands where what depends on the image is wanted`);
      },
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
    return {
      reading,
      checkAllAsked() {
        const unknown = attributes.unknown();
        if (unknown !== null) fail(`its attribute ${unknown} isn’t known here`);
        const further = [...inputs.keys()].find((input) => !asked.has(input));
        if (further !== undefined) fail(`its input ${further} isn’t known here`);
      },
    };
  }
  return { operations, constants, storage, valueOf };
}

/** Without control inputs, which say only what has to be done before. */
const inputsOf = ({ input = [] }: Node): readonly string[] => input.filter((name) => !name.startsWith('^'));
