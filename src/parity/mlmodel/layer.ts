import { UnreadableModelError } from '../errors.ts';
import type { Message } from '../protobuf.ts';
import type { Operation, Tensor } from '../types.ts';
import { readWeights, type Storage } from './weights.ts';

/** Of an operation all but its rounding, which is known when all weights have been seen. */
export type Unrounded = Operation extends infer Each
  ? Each extends Operation
    ? Omit<Each, 'rounding'>
    : never
  : never;

/** A value of the network: its name in the interpreter's language, and on how many axes it lies there. */
export interface Value {
  readonly name: string;
  /** 4 for `[1,C,H,W]`. */
  readonly rank: number;
}

/** What a layer may ask of itself and of the network. */
export interface Layer {
  readonly name: string;
  readonly parameters: Message;
  readonly inputs: readonly Value[];
  /** Its first, of at least `rank` axes. */
  input(rank?: number): Value;
  /** A constant of these numbers, row-major. */
  constant(hint: string, shape: readonly number[], data: Float32Array): string;
  /** A constant of the weights in a field of the layer's parameters; `rows`: output channels. */
  weights(field: number, hint: string, rows: number, shape: readonly number[]): string;
  /** Appends an operation; `hint` names an intermediate one, without it is the layer's output. */
  emit(make: (name: string) => Unrounded, rank: number, hint?: string): Value;
  fail(what: string): Error;
}

/** What has been read of a network so far. */
export class Network {
  readonly operations: Unrounded[] = [];
  readonly constants = new Map<string, Tensor>();
  readonly storages = new Set<Storage>();
  private readonly values = new Map<string, Value>();

  value(name: string): Value | undefined {
    return this.values.get(name);
  }

  bind(name: string, value: Value): void {
    if (this.values.has(name)) throw new UnreadableModelError(`The Core ML model file has two values “${name}”.`);
    this.values.set(name, value);
  }

  constant(name: string, shape: readonly number[], data: Float32Array): string {
    this.constants.set(name, { shape, data });
    return name;
  }

  /** `output`: what the layer's value is to be called. */
  layer(name: string, parameters: Message, inputs: readonly Value[], output: string): Layer {
    const fail = (what: string) =>
      new UnreadableModelError(`The layer “${name}” of the Core ML model file can’t be read: ${what}.`);
    return {
      name,
      parameters,
      inputs,
      input: (rank = 0) => {
        const [input] = inputs;
        if (input === undefined || inputs.length > 1) throw fail(`it has ${inputs.length} inputs`);
        if (input.rank < rank) throw fail(`what it reads has ${input.rank} axes, and ${rank} are needed`);
        return input;
      },
      constant: (hint, shape, data) => this.constant(`${output}/${hint}`, shape, data),
      weights: (field, hint, rows, shape) => {
        const size = shape.reduce((product, side) => product * side, 1);
        const { storage, data } = readWeights(parameters.message(field), `“${name}” (${hint})`, rows, size);
        this.storages.add(storage);
        return this.constant(`${output}/${hint}`, shape, data);
      },
      emit: (make, rank, hint) => {
        const operation = make(hint === undefined ? output : `${output}/${hint}`);
        this.operations.push(operation);
        return { name: operation.name, rank };
      },
      fail,
    };
  }
}
