import { UnreadableModelError } from '../errors.ts';
import { shapeOf } from '../interpreter/shapes.ts';
import type { Pause } from '../pauses.ts';
import type { Message } from '../protobuf.ts';
import type { Operation, Tensor } from '../types.ts';
import { translations, type Arguments } from './operations.ts';
import { packedConstants } from './packedConstants.ts';
import { readValue, tensorType, type MilValue } from './values.ts';
import type { WeightFile } from './weightFile.ts';

export interface Program {
  /** Of its one input. */
  readonly input: { readonly name: string; readonly shape: readonly number[] };
  readonly constants: ReadonlyMap<string, Tensor>;
  readonly operations: readonly Operation[];
  readonly classify: {
    readonly probabilities: string;
    readonly labels: readonly string[];
    /** Names of what it gives: the label, and the probabilities by label. */
    readonly outputs: readonly string[];
  };
  /** All outputs of the function, in their order. */
  readonly outputs: readonly string[];
  readonly eightBit: boolean;
}

/** Of a `MILSpec.Program` (MIL.proto) with one function, `main`, of one block. */
export async function readProgram(program: Message, weights: WeightFile, between?: Pause): Promise<Program> {
  // Attributes of a program say how it was made.
  program.allow('The program', 1, 2, 3, 4);
  const functions = program.map(2);
  const main = functions.get('main');
  if (main === undefined || functions.size !== 1)
    throw new UnreadableModelError(
      `The package’s program has the functions ${[...functions.keys()].join(', ')}, not just “main”.`,
    );
  main.allow('“main”', 1, 2, 3);
  const block = main.map(3).get(main.string(2));
  if (block === undefined)
    throw new UnreadableModelError(`The package’s program has nothing for its own opset, “${main.string(2)}”.`);
  const inputs = main.messages(1);
  if (inputs.length !== 1)
    throw new UnreadableModelError(`The package’s program has ${inputs.length} inputs, not one.`);
  const name = inputs[0]!.string(1);
  const input = { name, shape: tensorType(inputs[0]!.message(2), name).shape };
  block.allow('The block of “main”', 2, 3);
  return new Translation(input, weights).read(block, between);
}

class Translation {
  private readonly values = new Map<string, MilValue>();
  private readonly shapes = new Map<string, readonly number[]>();
  private readonly constants = new Map<string, Tensor>();
  private readonly operations: Operation[] = [];
  private classify: Program['classify'] | null = null;
  private eightBit = false;

  constructor(
    private readonly input: Program['input'],
    private readonly weights: WeightFile,
  ) {
    this.shapes.set(input.name, input.shape);
  }

  async read(block: Message, between?: Pause): Promise<Program> {
    for (const operation of block.messages(3)) {
      this.take(operation);
      await between?.();
    }
    if (this.classify === null) throw new UnreadableModelError('The package’s program does not end in “classify”.');
    this.weights.checkAllRead();
    return {
      input: this.input,
      constants: this.constants,
      operations: this.operations,
      classify: this.classify,
      outputs: block.strings(2),
      eightBit: this.eightBit,
    };
  }

  private take(operation: Message): void {
    const type = operation.string(1);
    const outputs = operation.messages(3);
    const name = outputs[0]?.string(1) ?? '';
    const attributes = operation.map(5);
    const fail = (what: string) =>
      new UnreadableModelError(`In the package, the operation “${name}” (${type}) can’t be read: ${what}.`);
    if (this.classify !== null) throw fail('it comes after “classify”');
    operation.allow(`“${name}” (${type})`, 1, 2, 3, 4, 5);
    if (operation.messages(4).length > 0) throw fail('it has blocks inside');
    if (this.values.has(name) || this.shapes.has(name)) throw fail('there are two things of this name');

    if (type === 'classify') {
      const { tensor, strings, end } = this.argumentsOf(operation, name, fail);
      this.classify = {
        probabilities: tensor('probabilities'),
        labels: strings('classes'),
        outputs: outputs.map((output) => output.string(1)),
      };
      end();
      return;
    }
    if (outputs.length !== 1) throw fail(`it has ${outputs.length} outputs`);
    const declared = () => tensorType(outputs[0]!.message(2), name);

    /** Of what has all in its attributes; `name` says once more what it gives. */
    const checkAttributes = (known: readonly string[]) => {
      const unknown = [...attributes.keys(), ...operation.map(2).keys()].find((key) => !known.includes(key));
      if (unknown !== undefined) throw fail(`“${unknown}” of it is not known here`);
    };

    if (type === 'const') {
      const value = attributes.get('val');
      if (value === undefined) throw fail('it has no value');
      checkAttributes(['name', 'val']);
      this.values.set(name, readValue(value, this.weights, name));
      return;
    }

    const unpack = packedConstants[type];
    if (unpack !== undefined) {
      const asked = ['name'];
      const parts = (part: string) => {
        asked.push(part);
        const value = attributes.get(part);
        if (value === undefined) throw fail(`“${part}” is not among its attributes`);
        return readValue(value, this.weights, `${name}.${part}`);
      };
      const numbers = (part: string) => {
        const value = parts(part);
        if (value.kind !== 'numbers') throw fail(`“${part}” is text`);
        return value;
      };
      const text = (part: string) => {
        const value = parts(part);
        return value.kind === 'strings' ? value.strings[0]! : '';
      };
      const { value, eightBit } = unpack(numbers, text, fail);
      checkAttributes(asked);
      const { type: wanted, shape } = declared();
      if (value.type !== wanted || value.shape.join() !== shape.join())
        throw fail(
          `it gives ${value.type} [${value.shape.join(', ')}] and is declared ${wanted} [${shape.join(', ')}]`,
        );
      this.values.set(name, value);
      this.eightBit ||= eightBit;
      return;
    }

    const translate = translations[type];
    if (translate === undefined) throw fail('it is not known here');
    const { type: rounding, shape } = declared();
    if (rounding !== 'float16' && rounding !== 'float32') throw fail(`it gives ${rounding}`);
    const given = this.argumentsOf(operation, name, fail);
    const translated = translate(given, { name, rounding });
    given.end();
    const gives = shapeOf(translated, (named) => this.shapes.get(named) ?? this.constants.get(named)!.shape);
    if (gives.join() !== shape.join())
      throw fail(`it gives [${gives.join(', ')}] and is declared [${shape.join(', ')}]`);
    this.operations.push(translated);
    this.shapes.set(name, gives);
  }

  private argumentsOf(
    operation: Message,
    owner: string,
    fail: (what: string) => Error,
  ): Arguments & { readonly strings: (name: string) => readonly string[] } {
    const inputs = operation.map(2);
    const attributes = operation.map(5);
    const asked = new Set<string>();
    const has = (name: string): boolean => {
      asked.add(name);
      return inputs.has(name);
    };
    const bindings = (name: string): readonly Message[] => {
      asked.add(name);
      const all = inputs.get(name)?.messages(1);
      if (all === undefined || all.length === 0) throw fail(`“${name}” is missing`);
      return all;
    };
    const one = (name: string): Message => {
      const all = bindings(name);
      if (all.length > 1) throw fail(`“${name}” is ${all.length} values`);
      return all[0]!;
    };
    const value = (name: string): MilValue => {
      const binding = one(name);
      const inline = binding.message(2);
      if (inline !== null) return readValue(inline, this.weights, `${owner}.${name}`);
      const named = this.values.get(binding.string(1));
      if (named === undefined) throw fail(`“${name}” is “${binding.string(1)}”, which is no constant before it`);
      return named;
    };
    const numbers = (name: string, otherwise?: readonly number[]): readonly number[] => {
      if (!has(name) && otherwise !== undefined) return otherwise;
      const found = value(name);
      if (found.kind !== 'numbers') throw fail(`“${name}” is text`);
      return [...found.data];
    };
    const strings = (name: string) => {
      const found = value(name);
      if (found.kind !== 'strings') throw fail(`“${name}” is no text`);
      return found.strings;
    };
    /** Puts a constant where the interpreter finds it. */
    const hold = (name: string, found: MilValue): string => {
      if (found.kind !== 'numbers' || !found.type.startsWith('float')) throw fail(`“${name}” is not of float numbers`);
      this.constants.set(name, { shape: found.shape, data: found.data });
      return name;
    };
    const tensorOf = (name: string, binding: Message, place: string): string => {
      const inline = binding.message(2);
      if (inline !== null) return hold(place, readValue(inline, this.weights, place));
      const named = binding.string(1);
      if (this.shapes.has(named) || this.constants.has(named)) return named;
      const constant = this.values.get(named);
      if (constant === undefined) throw fail(`“${name}” is “${named}”, which nothing before it is called`);
      return hold(named, constant);
    };
    const tensor = (name: string) => tensorOf(name, one(name), `${owner}.${name}`);
    const single = (name: string, otherwise?: number) => {
      const all = numbers(name, otherwise === undefined ? undefined : [otherwise]);
      if (all.length !== 1) throw fail(`“${name}” is ${all.length} numbers`);
      return all[0]!;
    };
    return {
      has,
      tensor,
      tensors: (name) => bindings(name).map((binding, i) => tensorOf(name, binding, `${owner}.${name}.${i}`)),
      optional: (name) => (has(name) ? tensor(name) : null),
      transposed: (name) => {
        const found = value(name);
        if (found.kind !== 'numbers' || found.shape.length !== 2) throw fail(`“${name}” is no matrix`);
        const [rows, columns] = found.shape as [number, number];
        const data = found.data.map((_, i) => found.data[(i % rows) * columns + Math.floor(i / rows)]!);
        return hold(`${owner}.${name}`, { ...found, shape: [columns, rows], data });
      },
      shape: (name) => {
        const named = tensor(name);
        return this.shapes.get(named) ?? this.constants.get(named)!.shape;
      },
      number: single,
      numbers,
      flag: (name, otherwise) => single(name, otherwise ? 1 : 0) !== 0,
      text: (name, otherwise) => (!has(name) && otherwise !== undefined ? otherwise : (strings(name)[0] ?? '')),
      strings,
      fail,
      end() {
        const unknown =
          [...inputs.keys()].find((name) => !asked.has(name)) ?? [...attributes.keys()].find((name) => name !== 'name');
        if (unknown !== undefined) throw fail(`“${unknown}” of it is not known here`);
      },
    };
  }
}
