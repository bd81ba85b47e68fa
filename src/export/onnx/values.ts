import { create, type MessageInitShape } from '@bufbuild/protobuf';
import { encode } from '../floatBytes.ts';
import type { Precision } from '../types.ts';
import {
  AttributeProto_AttributeType as AttributeType,
  NodeProtoSchema,
  TensorProto_DataType as DataType,
  TensorProtoSchema,
  type AttributeProtoSchema,
  type NodeProto,
  type TensorProto,
  type ValueInfoProtoSchema,
} from './generated/onnx_pb.ts';

/** Spelling of ONNX's nodes, tensors and types in protobuf; knows no network. */

export const dataTypeOf = { float16: DataType.FLOAT16, float32: DataType.FLOAT } as const;

/** INT, INTS, or FLOAT. */
export type AttributeValue = number | readonly number[] | { readonly float: number };

export function node(
  type: string,
  name: string,
  inputs: readonly string[],
  output: string,
  attributes: Readonly<Record<string, AttributeValue>> = {},
): NodeProto {
  return create(NodeProtoSchema, {
    opType: type,
    name,
    input: [...inputs],
    output: [output],
    attribute: Object.entries(attributes).map(([key, value]) => attribute(key, value)),
  });
}

function attribute(name: string, value: AttributeValue): MessageInitShape<typeof AttributeProtoSchema> {
  if (typeof value === 'number') return { name, type: AttributeType.INT, i: BigInt(value) };
  if ('float' in value) return { name, type: AttributeType.FLOAT, f: value.float };
  return { name, type: AttributeType.INTS, ints: value.map(BigInt) };
}

/** Throws `Float16RangeError`. */
export function floatTensor(
  name: string,
  values: Float32Array,
  shape: readonly number[],
  precision: Precision,
): TensorProto {
  return tensor(name, encode(name, values, precision), shape, dataTypeOf[precision]);
}

/** `bytes`: little endian, row-major. */
export function tensor(name: string, bytes: Uint8Array, shape: readonly number[], dataType: DataType): TensorProto {
  return create(TensorProtoSchema, { name, dims: shape.map(BigInt), dataType, rawData: bytes });
}

/** A dimension of an input or output: its size, or the name of one that the caller chooses. */
interface Dimension {
  readonly size: number | string;
  /** After onnx/docs/DimensionDenotation.md. */
  readonly means?: string;
}

/** Float32 at both ends, whatever is inside. `means`: after onnx/docs/TypeDenotation.md. */
export function floatValue(
  name: string,
  says: string,
  dimensions: readonly Dimension[],
  means = 'TENSOR',
): MessageInitShape<typeof ValueInfoProtoSchema> {
  return {
    name,
    docString: says,
    type: {
      denotation: means,
      value: {
        case: 'tensorType',
        value: {
          elemType: DataType.FLOAT,
          shape: {
            dim: dimensions.map(({ size, means: denotation }) => ({
              value:
                typeof size === 'number'
                  ? { case: 'dimValue' as const, value: BigInt(size) }
                  : { case: 'dimParam' as const, value: size },
              ...(denotation !== undefined && { denotation }),
            })),
          },
        },
      },
    },
  };
}
