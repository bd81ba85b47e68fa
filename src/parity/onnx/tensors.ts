import { UnreadableModelError } from '../errors.ts';
import { fromHalves, roundToFloat16 } from '../interpreter/float16.ts';
import type { Message } from '../protobuf.ts';

export type ElementType = 'float16' | 'float32' | 'int8' | 'uint8' | 'int32' | 'int64';

/** Row-major. */
export interface Constant {
  readonly type: ElementType;
  readonly shape: readonly number[];
  readonly data: ArrayLike<number>;
}

/** `TensorProto.DataType`, those that image classifiers have. */
const typeOfCode: Readonly<Record<number, ElementType>> = {
  1: 'float32',
  2: 'uint8',
  3: 'int8',
  6: 'int32',
  7: 'int64',
  10: 'float16',
};
const bytesOf: Readonly<Record<ElementType, number>> = {
  float16: 2,
  float32: 4,
  int8: 1,
  uint8: 1,
  int32: 4,
  int64: 8,
};

/** Throws `UnreadableModelError`; `name` is what it calls the tensor. */
export function elementType(code: number, name: string): ElementType {
  const type = typeOfCode[code];
  if (type === undefined)
    throw new UnreadableModelError(`“${name}” of the ONNX file has elements of type ${code}, which is not known here.`);
  return type;
}

/** A `TensorProto`: raw bytes, or the field that its type has. Throws `UnreadableModelError`. */
export function tensorOf(tensor: Message, name: string): Constant {
  if (tensor.int(14) !== 0 || tensor.has(13))
    throw new UnreadableModelError(`The numbers of “${name}” are not in the ONNX file itself, but in another one.`);
  tensor.allow(`“${name}”`, 1, 2, 3, 4, 5, 7, 8, 9, 12, 14, 16);
  if (tensor.has(3)) throw new UnreadableModelError(`“${name}” of the ONNX file is in segments.`);
  const type = elementType(tensor.int(2), name);
  const shape = tensor.ints(1);
  const size = shape.reduce((product, side) => product * side, 1);
  const data = tensor.has(9) ? fromBytes(tensor.bytes(9), type) : fromField(tensor, type);
  if (data.length !== size || shape.some((side) => side < 0))
    throw new UnreadableModelError(
      `“${name}” of the ONNX file is [${shape.join(', ')}] and has ${data.length} numbers, where ${size} belong.`,
    );
  return { type, shape, data };
}

function fromField(tensor: Message, type: ElementType): ArrayLike<number> {
  switch (type) {
    case 'float32':
      return tensor.floats(4);
    case 'int64':
      return tensor.ints(7);
    case 'float16':
      return fromHalves(tensor.ints(5));
    case 'int8':
    case 'uint8':
    case 'int32':
      return tensor.ints(5);
  }
}

/** Little endian. Copied: nothing says that they lie at a multiple of their size. */
function fromBytes(bytes: Uint8Array, type: ElementType): ArrayLike<number> {
  // Not with slice, which is a view where the bytes are Node's Buffer.
  const { buffer } = new Uint8Array(bytes);
  const count = Math.floor(bytes.length / bytesOf[type]);
  switch (type) {
    case 'float32':
      return new Float32Array(buffer, 0, count);
    case 'float16':
      return fromHalves(new Uint16Array(buffer, 0, count));
    case 'int8':
      return new Int8Array(buffer);
    case 'uint8':
      return new Uint8Array(buffer);
    case 'int32':
      return new Int32Array(buffer, 0, count);
    case 'int64':
      return Array.from(new BigInt64Array(buffer, 0, count), Number);
  }
}

/** The operator Cast, between the types that occur; to integers only from integers. */
export function cast(constant: Constant, to: ElementType, name: string): Constant {
  const { type, shape, data } = constant;
  if (type === to) return constant;
  if (to === 'float32' || to === 'float16') {
    const floats = Float32Array.from(data);
    if (to === 'float16') roundToFloat16(floats);
    return { type: to, shape, data: floats };
  }
  if (type === 'uint8' && (to === 'int32' || to === 'int64')) return { type: to, shape, data };
  throw new UnreadableModelError(`“${name}” of the ONNX file casts ${type} to ${to}, which is not known here.`);
}

/**
 * The operator DequantizeLinear: (x − zero point) · scale, one for all or one for each index of `axis`. In the precision of the scale
 * from opset 19 on, before that always float32.
 */
export function dequantized(
  x: Constant,
  scale: Constant,
  zeroPoint: Constant | null,
  axis: number,
  name: string,
): Constant {
  const along = axis < 0 ? axis + x.shape.length : axis;
  const channels = scale.data.length;
  const perTensor = channels === 1 && scale.shape.length <= 1;
  if (
    (x.type !== 'int8' && x.type !== 'uint8') ||
    (scale.type !== 'float32' && scale.type !== 'float16') ||
    (!perTensor && (scale.shape.length !== 1 || x.shape[along] !== channels)) ||
    (zeroPoint !== null && (zeroPoint.type !== x.type || zeroPoint.data.length !== channels))
  )
    throw new UnreadableModelError(`“${name}” of the ONNX file dequantizes in a way that is not known here.`);
  const inner = x.shape.slice(along + 1).reduce((product, side) => product * side, 1);
  const data = new Float32Array(x.data.length);
  for (let start = 0; start < data.length; start += inner) {
    const channel = perTensor ? 0 : (start / inner) % channels;
    const [zero, factor] = [zeroPoint?.data[channel] ?? 0, scale.data[channel]!];
    for (let i = start; i < start + inner; i++) data[i] = (x.data[i]! - zero) * factor;
  }
  if (scale.type === 'float16') roundToFloat16(data);
  return { type: scale.type, shape: x.shape, data };
}

/** The operator Gather on a table of numbers: `table[indices]`. */
export function gathered(table: Constant, indices: Constant, name: string): Constant {
  const size = table.data.length;
  if (table.shape.length !== 1 || (table.type !== 'float32' && table.type !== 'float16'))
    throw new UnreadableModelError(`“${name}” of the ONNX file gathers from what is no table of numbers.`);
  if (indices.type !== 'int32' && indices.type !== 'int64')
    throw new UnreadableModelError(`“${name}” of the ONNX file gathers by numbers of ${indices.type}.`);
  const data = new Float32Array(indices.data.length);
  for (let i = 0; i < data.length; i++) {
    const index = indices.data[i]!;
    if (index < -size || index >= size)
      throw new UnreadableModelError(`“${name}” of the ONNX file takes number ${index} of a table of ${size}.`);
    data[i] = table.data[index < 0 ? index + size : index]!;
  }
  return { type: table.type, shape: indices.shape, data };
}
