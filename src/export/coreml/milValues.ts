import { create, type MessageInitShape } from '@bufbuild/protobuf';
import {
  DataType,
  OperationSchema,
  ValueSchema,
  ValueTypeSchema,
  type NamedValueTypeSchema,
  type Operation,
  type Value,
  type ValueType,
} from './generated/MIL_pb.ts';
import { encode } from '../floatBytes.ts';
import type { BlobType } from './weightBlob.ts';

/** Spelling of MIL's types and values in protobuf; knows no network. */
export type MilFloat = 'float16' | 'float32';
const floatType = { float16: DataType.FLOAT16, float32: DataType.FLOAT32 } as const;
const blobType = { ...floatType, uint8: DataType.UINT8, int8: DataType.INT8 } as const;
/** As the `dtype` argument of `cast` spells them. */
export const castName = { float16: 'fp16', float32: 'fp32' } as const;

export interface MilConstant {
  readonly type: ValueType;
  readonly value: Value;
}

export function tensorType(dataType: DataType, shape: readonly number[]): ValueType {
  return create(ValueTypeSchema, {
    type: {
      case: 'tensorType',
      value: {
        dataType,
        rank: BigInt(shape.length),
        dimensions: shape.map((size) => ({
          dimension: { case: 'constant' as const, value: { size: BigInt(size) } },
        })),
      },
    },
  });
}
export const floatTensorType = (precision: MilFloat, shape: readonly number[]) =>
  tensorType(floatType[precision], shape);

type TensorInit = Extract<
  NonNullable<
    Extract<
      NonNullable<
        Extract<NonNullable<MessageInitShape<typeof ValueSchema>['value']>, { case: 'immediateValue' }>['value']
      >['value'],
      { case: 'tensor' }
    >['value']
  >['value'],
  { case: string }
>;

function immediate(type: ValueType, tensor: TensorInit): MilConstant {
  return {
    type,
    value: create(ValueSchema, {
      type,
      value: { case: 'immediateValue', value: { value: { case: 'tensor', value: { value: tensor } } } },
    }),
  };
}

export const stringConstant = (text: string): MilConstant =>
  immediate(tensorType(DataType.STRING, []), { case: 'strings', value: { values: [text] } });
export const boolConstant = (flag: boolean): MilConstant =>
  immediate(tensorType(DataType.BOOL, []), { case: 'bools', value: { values: [flag] } });
export const intConstant = (value: number): MilConstant =>
  immediate(tensorType(DataType.INT32, []), { case: 'ints', value: { values: [value] } });
export const intsConstant = (values: readonly number[]): MilConstant =>
  immediate(tensorType(DataType.INT32, [values.length]), { case: 'ints', value: { values: [...values] } });

/** Inside the program itself: float32 as numbers, float16 as bytes, as coremltools writes them. */
export function floatConstant(
  name: string,
  values: Float32Array,
  shape: readonly number[],
  precision: MilFloat,
): MilConstant {
  const type = floatTensorType(precision, shape);
  return precision === 'float32'
    ? immediate(type, { case: 'floats', value: { values: [...values] } })
    : immediate(type, { case: 'bytes', value: { values: encode(name, values, precision) } });
}

/** Inside the program: a shape as `constexpr_lut_to_dense` takes it, uint32, which are written as bytes. */
export const shapeConstant = (shape: readonly number[]): MilConstant =>
  immediate(tensorType(DataType.UINT32, [shape.length]), {
    case: 'bytes',
    value: { values: littleEndian(shape) },
  });

function littleEndian(words: readonly number[]): Uint8Array<ArrayBuffer> {
  const bytes = new Uint8Array(4 * words.length);
  const view = new DataView(bytes.buffer);
  words.forEach((word, index) => view.setUint32(4 * index, word, true));
  return bytes;
}

/** Inside the program: bytes as they are. */
export const bytesConstant = (bytes: Uint8Array, shape: readonly number[], type: BlobType): MilConstant =>
  immediate(tensorType(blobType[type], shape), { case: 'bytes', value: { values: bytes } });

/** In the weight file; `offset` is that of the blob's metadata. */
export function blobConstant(offset: number, shape: readonly number[], precision: BlobType): MilConstant {
  const type = tensorType(blobType[precision], shape);
  return {
    type,
    value: create(ValueSchema, {
      type,
      value: { case: 'blobFileValue', value: { fileName: '@model_path/weights/weight.bin', offset: BigInt(offset) } },
    }),
  };
}

/** A list of strings, as `classify` takes its labels. */
export function stringListValue(texts: readonly string[]): Value {
  const elementType = tensorType(DataType.STRING, []);
  return create(ValueSchema, {
    type: {
      type: {
        case: 'listType',
        value: {
          type: elementType,
          length: { dimension: { case: 'constant', value: { size: BigInt(texts.length) } } },
        },
      },
    },
    value: {
      case: 'immediateValue',
      value: { value: { case: 'list', value: { values: texts.map((text) => stringConstant(text).value) } } },
    },
  });
}

export const stringType = () => tensorType(DataType.STRING, []);
/** What `classify` yields: label → probability. */
export const probabilitiesType = (): ValueType =>
  create(ValueTypeSchema, {
    type: {
      case: 'dictionaryType',
      value: { keyType: tensorType(DataType.STRING, []), valueType: tensorType(DataType.FLOAT64, []) },
    },
  });

/** Names of earlier values (several for `concat`), or a value in place. */
export type MilArgument = string | readonly string[] | Value;

export function operation(
  type: string,
  name: string,
  inputs: Readonly<Record<string, MilArgument>>,
  outputs: readonly MessageInitShape<typeof NamedValueTypeSchema>[],
): Operation {
  const binding = (name: string) => ({ binding: { case: 'name' as const, value: name } });
  return create(OperationSchema, {
    type,
    inputs: Object.fromEntries(
      Object.entries(inputs).map(([key, argument]) => [
        key,
        {
          arguments:
            typeof argument === 'string'
              ? [binding(argument)]
              : isNames(argument)
                ? argument.map(binding)
                : [{ binding: { case: 'value' as const, value: argument } }],
        },
      ]),
    ),
    outputs: [...outputs],
    attributes: { name: stringConstant(name).value },
  });
}

/** A weight that is unpacked when the model is loaded: since iOS 16 its parts are attributes, as a const's value is. */
export function constexprOperation(
  type: 'constexpr_lut_to_dense' | 'constexpr_affine_dequantize',
  output: MessageInitShape<typeof NamedValueTypeSchema> & { readonly name: string },
  parts: Readonly<Record<string, MilConstant>>,
): Operation {
  const attributes = Object.entries(parts).map(([key, { value }]) => [key, value] as const);
  return create(OperationSchema, {
    type,
    outputs: [output],
    attributes: { name: stringConstant(output.name).value, ...Object.fromEntries(attributes) },
  });
}

export function constOperation(name: string, { type, value }: MilConstant): Operation {
  return create(OperationSchema, {
    type: 'const',
    outputs: [{ name, type }],
    attributes: { name: stringConstant(name).value, val: value },
  });
}

function isNames(argument: MilArgument): argument is readonly string[] {
  return Array.isArray(argument);
}
