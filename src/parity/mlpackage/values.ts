import { UnreadableModelError } from '../errors.ts';
import { fromHalves } from '../interpreter/float16.ts';
import type { Message } from '../protobuf.ts';
import { sizeOf } from '../interpreter/work.ts';
import type { MilType } from './milType.ts';
import type { WeightFile } from './weightFile.ts';

/** DataType of MIL.proto. */
const typeOfCode: Readonly<Record<number, MilType>> = {
  1: 'bool',
  2: 'string',
  10: 'float16',
  11: 'float32',
  21: 'int8',
  22: 'int16',
  23: 'int32',
  31: 'uint8',
  32: 'uint16',
  33: 'uint32',
};

export interface TensorType {
  readonly type: MilType;
  readonly shape: readonly number[];
}

/** A value that the program has in itself or in the weight file. */
export type MilValue =
  | (TensorType & { readonly kind: 'numbers'; readonly data: Float32Array })
  | { readonly kind: 'strings'; readonly shape: readonly number[]; readonly strings: readonly string[] };

/** Of a ValueType that is a tensor's with known sides. `owner` is named in errors. */
export function tensorType(valueType: Message | null, owner: string): TensorType {
  const tensor = valueType?.message(1);
  if (tensor == null) throw new UnreadableModelError(`In the package, “${owner}” is not said to be a tensor.`);
  tensor.allow(`“${owner}”`, 1, 2, 3);
  const type = typeOfCode[tensor.int(1)];
  if (type === undefined)
    throw new UnreadableModelError(`In the package, “${owner}” has data type ${tensor.int(1)}, not known here.`);
  const shape = tensor.messages(3).map((dimension) => {
    const constant = dimension.message(1);
    if (constant === null)
      throw new UnreadableModelError(`In the package, “${owner}” has a side whose length is left open.`);
    const side = constant.int(1);
    if (side < 0) throw new UnreadableModelError(`In the package, “${owner}” has a side of ${side}.`);
    return side;
  });
  if (shape.length !== tensor.int(2))
    throw new UnreadableModelError(
      `In the package, “${owner}” is said to have ${tensor.int(2)} axes and has ${shape.length}.`,
    );
  return { type, shape };
}

const WEIGHT_FILE = '@model_path/weights/weight.bin';

/** Of a Value: an immediate one, or one in the weight file. */
export function readValue(value: Message, weights: WeightFile, owner: string): MilValue {
  const fail = (what: string) =>
    new UnreadableModelError(`In the package, the constant “${owner}” is broken: ${what}.`);
  value.allow(`“${owner}”`, 1, 2, 3, 5);
  const inFile = value.message(5);
  if (inFile !== null) {
    if (inFile.string(1) !== WEIGHT_FILE) throw fail(`it is said to lie in “${inFile.string(1)}”`);
    const { type, shape } = tensorType(value.message(2), owner);
    const blob = weights.blob(inFile.int(2), owner);
    if (blob.type !== type) throw fail(`it is ${type} in the program and ${blob.type} in the weight file`);
    return { kind: 'numbers', type, shape, data: fromBytes(blob.bytes, type, sizeOf(shape), fail) };
  }

  const immediate = value.message(3);
  if (immediate === null) throw fail('it has no value');
  const list = immediate.message(3);
  if (list !== null) {
    const strings = list.messages(1).map((item) => {
      if (item.message(3)?.has(3) === true) throw fail('a list of lists');
      const one = readValue(item, weights, owner);
      if (one.kind !== 'strings' || one.strings.length !== 1) throw fail('a list of anything but strings');
      return one.strings[0]!;
    });
    return { kind: 'strings', shape: [strings.length], strings };
  }
  const tensor = immediate.message(1);
  if (tensor === null) throw fail('it is neither a tensor nor a list');
  const { type, shape } = tensorType(value.message(2), owner);
  const size = sizeOf(shape);
  if (type === 'string') {
    const strings = tensor.message(4)?.strings(1) ?? [];
    if (strings.length !== size) throw fail(`${strings.length} strings for ${size}`);
    return { kind: 'strings', shape, strings };
  }
  const data = immediateNumbers(tensor, type, size, fail);
  if (data.length !== size) throw fail(`${data.length} numbers for [${shape.join(', ')}]`);
  return { kind: 'numbers', type, shape, data };
}

type Fail = (what: string) => Error;

/** Which field holds what: coremltools, converters/mil/backend/mil/helper.py. */
function immediateNumbers(tensor: Message, type: MilType, size: number, fail: Fail): Float32Array {
  const bytes = tensor.message(7);
  if (bytes !== null) return fromBytes(bytes.bytes(1), type, size, fail);
  switch (type) {
    case 'float32':
      return tensor.message(1)?.floats(1) ?? new Float32Array();
    case 'bool':
      return Float32Array.from(tensor.message(3)?.ints(1) ?? []);
    case 'float16':
    case 'string':
      throw fail(`${type} numbers that are not written as bytes`);
    default: {
      const whole = tensor.message(2)?.ints(1) ?? [];
      if (whole.some((number) => Math.fround(number) !== number)) throw fail('too large a whole number');
      return Float32Array.from(whole);
    }
  }
}

const bytesOf: Readonly<Record<MilType, number>> = {
  bool: 1,
  string: 0,
  float16: 2,
  float32: 4,
  int8: 1,
  int16: 2,
  int32: 4,
  uint8: 1,
  uint16: 2,
  uint32: 4,
};

/** Little endian, as they lie in the weight file. */
function fromBytes(bytes: Uint8Array, type: MilType, size: number, fail: Fail): Float32Array {
  if (bytes.length !== size * bytesOf[type]) throw fail(`${bytes.length} bytes for ${size} numbers in ${type}`);
  const { buffer } = bytes.slice();
  switch (type) {
    case 'float32':
      return new Float32Array(buffer);
    case 'float16':
      return fromHalves(new Uint16Array(buffer));
    case 'int8':
      return Float32Array.from(new Int8Array(buffer));
    case 'uint8':
      return Float32Array.from(new Uint8Array(buffer));
    case 'int16':
      return Float32Array.from(new Int16Array(buffer));
    case 'uint16':
      return Float32Array.from(new Uint16Array(buffer));
    case 'int32':
      return Float32Array.from(new Int32Array(buffer));
    case 'uint32':
      return Float32Array.from(new Uint32Array(buffer));
    case 'bool':
    case 'string':
      throw fail(`${type} as bytes`);
  }
}
